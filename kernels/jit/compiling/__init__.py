"""Compiling at first use, and code on disk.

``lazy`` holds the tasks and functions that Numba compiles, ``access`` what they need beyond Numba,
``table`` the kernels by index, compiled as networks ask for them. ``machine_code`` compiles and
frees users' functions, of which ``custom_kernels`` makes kernels of the table and
``custom_functions`` C functions for the compiled backend. All of it is made in ``turn``, one thread
at a time, and kept by ``cache`` in ``folders`` that only their owner can write to.
"""
