"""Networks of other libraries come in, and networks of this one go out.

=============== =================================================================== =============
format          functions                                                           needs
=============== =================================================================== =============
ONNX            ``net.to_onnx``, ``estimator.to_onnx``, ``fastmlp.from_onnx``       onnx
C99             ``net.to_c``: one header without dependencies                       nothing
PyTorch         ``net.to_torch``, ``fastmlp.from_torch``, :mod:`.torch`             torch
JAX             ``net.to_jax``, :mod:`.jax`                                         jax
Keras           ``net.to_keras``, ``fastmlp.from_keras``                            keras
scikit-learn's  :func:`fastmlp.interop.skl2onnx.register`                           skl2onnx
converter
skops           :data:`fastmlp.interop.skops.TRUSTED`                               nothing
=============== =================================================================== =============

How the files relate: ``_chain`` is what all imports end in, a list of dense layers that becomes an
``MLP``; ``_steps`` gives the straight-line code of an activation that a target has no name for;
``_libraries`` imports what may not be installed. ``_onnx`` and ``_c`` write and read those formats,
``_torch`` is what ``torch`` is made of; ``jax`` and ``keras`` hold everything of their library.
Libraries are imported when a function is called, never before.
"""
