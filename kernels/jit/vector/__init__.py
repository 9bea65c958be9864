"""The language that kernels are written in: vectors of one register over LLVM's instructions.

Read ``host`` (registers and tile sizes of this CPU), ``values`` (integers and vectors with
operators), ``memory`` (a function that is being written: arguments, constants, loads and stores),
``code`` (arithmetic and loops), ``kernel`` (a function with the names of its arguments) and
``vmath`` (exponentials, logarithms, gates).
"""
