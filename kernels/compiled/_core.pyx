# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""The compiled kernels as Python functions: arguments are checked here, once, then C runs.

An argument that is not plainly right goes through the shared checks of ``_checks.py``, which raise
the error that every backend raises; plain ones do not pay for them.
"""

import contextlib
import os

import numpy as np

from .. import _callbacks, _checks, _epochs, _steps
from .._custom import CustomLoss, TargetWeights
from .._machine import caches as _caches
from .._machine import threads as _threads
from .._machine.lines import zeros_at_line
from .._epochs import Shuffle
from .._options import TrainingOptions
from .._specs import CSR, Loss, check_loss
from ..reference.activations import bend_of
from ..reference.hessian import is_bent

cimport cython
cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.math cimport INFINITY as INF
from libc.string cimport memcmp, memcpy, memset, strlen
from numpy.random cimport bitgen_t

cdef extern from "Python.h":
    int look_at_signals "PyErr_CheckSignals"() noexcept  # leaves its exception where it is

cnp.import_array()

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef extern from "fastmlp.h" nogil:
    enum: ACTIVATION_exp
    enum: ACTIVATION_identity
    enum: ACTIVATION_softmax
    enum: ACTIVATION_custom
    enum: LOSS_custom
    enum: LOSS_of_output
    enum: UPDATE_none
    enum: FAULT_label
    enum: FAULT_interrupted
    enum: ELEMENTS_activation
    enum: ELEMENTS_column_sums
    enum: ELEMENTS_update

    struct kernels:
        int real_bytes
        int lanes
        void (*function)(int, const void *, void *, long) noexcept
        long (*positive_scratch)(long) noexcept
        int (*solve_positive)(const void *, const void *, long, void *, void *, int) noexcept nogil
    struct c_update "update":  # there is a function of that name
        int rule
        double *constants
    ctypedef void fastmlp_activation(const void *, void *, void *, int64_t) noexcept
    ctypedef void fastmlp_loss(const void *, const void *, void *, void *, int64_t, int64_t) noexcept
    struct c_loss "loss":
        int code
        double *constants
        fastmlp_loss *custom
        long target_outputs
    struct matrix:
        const char *data
        Py_ssize_t row_stride, column_stride
    struct csr:
        const void *values
        const void *columns
        const void *starts
        long n_entries
        int column_bytes, start_bytes
    struct samples:
        matrix x, target
        csr sparse
        const int64_t *labels
        const void *sample_weight
        matrix factors
        long targets
        const int64_t *order
        long n_rows
    struct caches:
        long l1, l2, l3
    struct tuner:
        int best
        int *threads
    struct design:
        c_loss loss
        int output
        long n_packed
    struct arena:
        void *gradient
    struct c_pass "pass":
        int fault
        int (*interrupted)() noexcept nogil
    struct engine:
        design design
        arena arena
        c_pass c_pass "pass"
        tuner tuner
        double gradient_norm
    struct request:
        const kernels *kernels
        int n_layers
        const long *sizes
        const int *activations
        fastmlp_activation **custom_activations
        int output, rule
        c_loss loss
        long batch
        int sparse, shards, n_threads
        const double *dropout
        uint64_t seed
        const int *frozen
        double clip_value, clip_norm, max_norm
        int with_norm
    struct penalty:
        double l2, l1
        int over_batch
    struct shards:
        const long *cuts
        long n, position
        double total
    struct product:
        const kernels *kernels
        matrix a, b, activations
        int over_rows, activation
        fastmlp_activation *custom
        long n, depth, columns
        const void *bias
        double factor
        void *c
    struct output_rows:
        const kernels *kernels
        samples samples
        long n, n_out
        int output
        c_loss loss
        void *delta
        void *row_loss
        int fault
    struct forward:
        matrix x
        const csr *sparse
        const void *flat
        const void *packed
        long n
        int scores
        void *out
        int fault
    enum: DERIVATIVE_back
    enum: DERIVATIVE_along
    enum: DERIVATIVE_jacobian
    struct derivative:
        const design *design
        int what, output
        c_loss loss
        samples samples
        const void *flat
        long n
        void *out
        int fault
    struct elements:
        const kernels *kernels
        int what, activation
        fastmlp_activation *custom
        matrix a, b
        long rows, columns
        double factor
        const c_update *update
        void *state[3]  # MAX_STATES
        void *out

    enum: MAX_GAUSS_LAYERS
    struct gauss_layer:
        matrix inputs
        const void *errors
        long n_in, n_out, weights, bias
    struct gauss_newton_call "gauss_newton":
        const kernels *kernels
        long n, n_errors
        int n_layers
        gauss_layer *layers
        double *out
        long order
        double *along
        const design *design
        const void *flat
        const void *roots
        matrix target

    const kernels *fastmlp_kernels(int)
    const char *fastmlp_select_isa(const char *)
    const char *fastmlp_isa()
    const char *fastmlp_left_out
    int fastmlp_activation_code(const char *)
    int fastmlp_loss_code(const char *)
    int fastmlp_update_code(const char *)
    int fastmlp_constant_code(const char *)
    int fastmlp_loss_constant_code(const char *)
    int fastmlp_states(int)
    void fastmlp_update_at(c_update *, double, double)
    engine *fastmlp_engine_new(const request *, double *)
    void fastmlp_engine_free(engine *)
    void fastmlp_load(engine *, const void *, const void *)
    double fastmlp_reserve_entries(engine *, const samples *, long)
    void fastmlp_store(const engine *, void *, void *)
    unsigned long fastmlp_enter_steps(int)
    void fastmlp_leave_steps(unsigned long)
    void fastmlp_end_epoch(engine *)
    double fastmlp_operations(const engine *, long)
    double fastmlp_step(
        engine *, const samples *, long, long, long, const penalty *, const c_update *
    )
    void fastmlp_shards(engine *, const samples *, const shards *, long, double *)
    double fastmlp_descend(engine *, double, const penalty *, const c_update *)
    void fastmlp_tuner_pause(tuner *)
    int fastmlp_reals_within(const void *, long, int, double, double)
    int fastmlp_labels_within(const int64_t *, long, long)
    void fastmlp_set_default_threads(int)
    caches fastmlp_cpuid_caches()
    void fastmlp_set_caches(caches)
    size_t fastmlp_caller()
    double fastmlp_gradient(
        engine *, const void *, const samples *, long, const penalty *, void *
    )
    double fastmlp_forward(const design *, forward *, int)
    bint fastmlp_is_brief(const design *, long)
    long fastmlp_packed_bytes(const design *)
    void fastmlp_pack(const design *, const void *, void *)
    double fastmlp_product(product *, int)
    double fastmlp_output(output_rows *, int)
    double fastmlp_derivative(derivative *, int)
    void fastmlp_elements(const elements *, int)
    double fastmlp_gauss_newton(gauss_newton_call *, int)
    char *fastmlp_scratch_take(long bytes)
    void fastmlp_scratch_give(char *memory)


# More than any memory holds, and still far from the ends of a long.
MAX_SIZE = 2**60
cdef int default_threads = _threads.default_threads()
fastmlp_set_default_threads(default_threads)


def _caller():
    """The caller on whose behalf this thread works: itself, but for the threads of the pool."""
    return fastmlp_caller()


_callbacks.use_native_caller(_caller)


cdef int raise_pending() except -1:
    """Raise what callbacks of this caller have raised."""
    _callbacks.raise_pending(fastmlp_caller())
    return 0


# Parts of one module, not modules of their own: compiled code is shared between modules
# through .pxd files, which a package mapped from another folder cannot use (cython#2452).
include "_machine.pxi"
include "_arrays.pxi"
include "_calls.pxi"
include "_engine.pxi"
include "_orders.pxi"
include "_steps.pxi"
include "_single_step.pxi"
include "_use.pxi"
include "_derivatives.pxi"
include "_hessian.pxi"
include "_second.pxi"
include "_networks.pxi"
include "_shards.pxi"
include "_lanes.pxi"
include "_for_tests.pxi"
