"""The language that tasks are written in: Python functions of integers, doubles and records.

Tasks compute addresses and counts and call kernels; Numba takes a tenth of a second for each of
their functions, most of it for what they do not use. So they are translated to LLVM's instructions
here, a function in place of each of its calls. What is understood is a small part of Python, with
Python's meaning; everything else raises :class:`Untranslatable` with its line, before anything is
compiled.

Read ``values`` (numbers, records and arrays of compiled code), ``expressions`` and ``statements``
(what each piece of Python becomes), ``builtins`` (memory, kernels by name, atomics, the float mode)
and ``functions`` (a function as machine code).
"""
