"""Compiling at first use, and code on disk.

``table`` has the kernels by index, compiled as networks ask for them, and ``calls`` what tasks call
them by, made from the kernels' own signatures. ``lazy`` holds the tasks and other functions of
compiled Python. ``machine_code`` compiles, loads and frees functions, also those of users, of which
``custom_kernels`` makes kernels of the table and ``custom_functions`` C functions for the compiled
backend. All of it is made in ``turn``, one thread at a time, and kept by ``cache`` in ``folders``
that only their owner can write to.
"""
