# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""The compiled kernels as Python functions: arguments are checked here, once, then C runs.

An argument that is not plainly right goes through the shared checks of ``_checks.py``, which raise
the error that every backend raises; plain ones do not pay for them.
"""

import os
import threading

import numpy as np

from .. import _checks, _threads
from .._specs import check_loss

cimport cython
cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport pow, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

cnp.import_array()

cdef extern from "fastmlp.h" nogil:
    enum: ACTIVATION_softmax
    enum: UPDATE_none
    enum: ELEMENTS_activation
    enum: ELEMENTS_column_sums
    enum: ELEMENTS_update

    struct kernels:
        int real_bytes
        void (*function)(int, const void *, void *, long) noexcept
    struct update:
        int rule, nesterov
        double rate, momentum, beta_1, beta_2, epsilon
    struct matrix:
        const char *data
        long row_stride, column_stride
    struct samples:
        matrix x, target
        const int64_t *labels
        const void *sample_weight
        const int64_t *order
        long n_rows
    struct choice:
        int best
        int *threads
    struct engine:
        choice choice
    struct product:
        const kernels *kernels
        matrix a, b, activations
        int a_by_columns, activation
        long n, depth, columns
        const void *bias
        double factor
        void *c
    struct output_rows:
        const kernels *kernels
        samples samples
        long n, n_out
        int loss, output
        void *delta
        void *row_loss
    struct elements:
        const kernels *kernels
        int what, activation
        matrix a, b
        long rows, columns
        double factor
        const update *update
        void *state[2]
        void *out

    const kernels *fastmlp_kernels(int)
    const char *fastmlp_select_isa(const char *)
    const char *fastmlp_isa()
    int fastmlp_activation_code(const char *)
    int fastmlp_loss_code(const char *)
    int fastmlp_update_code(const char *)
    engine *fastmlp_engine_new(const kernels *, int, const long *, const int *, int, int, int, long, int)
    void fastmlp_engine_free(engine *)
    void fastmlp_load(engine *, const void *, const void *)
    void fastmlp_store(const engine *, void *, void *)
    double fastmlp_step(engine *, const samples *, long, long, double, int, const update *)
    void fastmlp_choice_pause(choice *)
    void fastmlp_set_default_threads(int)
    double fastmlp_gradient(engine *, const void *, const samples *, long, double, void *)
    int fastmlp_forward(const engine *, const void *, matrix, long, int, void *, int)
    int fastmlp_product(product *, int)
    int fastmlp_output(output_rows *, int)
    void fastmlp_elements(const elements *, int)


def _select_isa():
    wanted = os.environ.get("FASTMLP_ISA", "").strip().lower().encode()
    cdef const char *name = NULL
    if wanted:
        name = wanted
    cdef const char *usable = fastmlp_select_isa(name)
    if usable != NULL:
        raise ImportError(
            f"FASTMLP_ISA={wanted.decode()!r} cannot be used here; usable: {usable.decode()}"
        )


_select_isa()
cdef int default_threads = _threads.default_threads()
fastmlp_set_default_threads(default_threads)


def isa():
    """Name of the instruction set whose kernels run."""
    return fastmlp_isa().decode()


# Arrays ------------------------------------------------------------------------------------------

cdef inline bint plain(object x, int ndim, int dtype) noexcept:
    """Whether x is an aligned native float array of that many dimensions (dtype -1: of any)."""
    if not cnp.PyArray_CheckExact(x):
        return False
    cdef cnp.ndarray a = <cnp.ndarray>x
    cdef int kind = cnp.PyArray_TYPE(a)
    return (
        cnp.PyArray_NDIM(a) == ndim
        and (kind == cnp.NPY_FLOAT32 or kind == cnp.NPY_FLOAT64 if dtype < 0 else kind == dtype)
        and cnp.PyArray_ISALIGNED(a)
        and cnp.PyArray_ISNOTSWAPPED(a)
    )


cdef inline cnp.ndarray aligned(object x):
    """x itself, or a copy whose elements lie at multiples of their size."""
    cdef cnp.ndarray a = x
    return a if cnp.PyArray_ISALIGNED(a) else np.array(a, copy=True, subok=False)


cdef inline matrix no_matrix() noexcept:
    cdef matrix m
    m.data, m.row_stride, m.column_stride = NULL, 0, 0
    return m


cdef inline matrix matrix_of(cnp.ndarray a) noexcept:
    cdef matrix m
    m.data = <const char *>cnp.PyArray_DATA(a)
    m.row_stride = cnp.PyArray_STRIDE(a, 0)
    m.column_stride = cnp.PyArray_STRIDE(a, 1)
    return m


cdef inline matrix transposed(matrix m) noexcept:
    cdef matrix t
    t.data = m.data
    t.row_stride = m.column_stride
    t.column_stride = m.row_stride
    return t


cdef inline const kernels *kernels_of(cnp.ndarray a) noexcept:
    return fastmlp_kernels(<int>cnp.PyArray_ITEMSIZE(a))


cdef inline object new_array(Py_ssize_t rows, Py_ssize_t columns, int dtype):
    cdef cnp.npy_intp shape[2]
    shape[0] = rows
    shape[1] = columns
    return cnp.PyArray_EMPTY(2, shape, dtype, 0)


cdef inline bint plain_threads(object n_threads) noexcept:
    return n_threads is None or (type(n_threads) is int and n_threads > 0)


cdef void extent(cnp.ndarray a, const char **low, const char **high) noexcept:
    """First and one past the last byte of an array's memory."""
    cdef int i
    low[0] = high[0] = <const char *>cnp.PyArray_DATA(a)
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_DIM(a, i) == 0:
            return
        if cnp.PyArray_STRIDE(a, i) > 0:
            high[0] += (cnp.PyArray_DIM(a, i) - 1) * cnp.PyArray_STRIDE(a, i)
        else:
            low[0] += (cnp.PyArray_DIM(a, i) - 1) * cnp.PyArray_STRIDE(a, i)
    high[0] += cnp.PyArray_ITEMSIZE(a)


cdef bint disjoint(cnp.ndarray a, cnp.ndarray b) noexcept:
    cdef const char *a_low
    cdef const char *a_high
    cdef const char *b_low
    cdef const char *b_high
    extent(a, &a_low, &a_high)
    extent(b, &b_low, &b_high)
    return a_high <= b_low or b_high <= a_low


cdef object plain_output(object out, Py_ssize_t rows, Py_ssize_t columns, int dtype, cnp.ndarray a,
                         cnp.ndarray b, cnp.ndarray c):
    """out if it is plainly right for a product of a, b and c, a new array for None; else None."""
    cdef cnp.ndarray array
    if out is None:
        return new_array(rows, columns, dtype)
    if not plain(out, 2, dtype):
        return None
    array = out
    if (
        cnp.PyArray_DIM(array, 0) == rows and cnp.PyArray_DIM(array, 1) == columns
        and cnp.PyArray_IS_C_CONTIGUOUS(array) and cnp.PyArray_ISWRITEABLE(array)
        and disjoint(array, a) and disjoint(array, b) and disjoint(array, c)
    ):
        return out
    return None


cdef inline int threads_of(object n_threads) except -1:
    return default_threads if n_threads is None else <int>min(n_threads, 256)


cdef int code_of(object name, int (*lookup)(const char *) noexcept nogil) except -2:
    if not isinstance(name, str):
        return -1
    cdef bytes text = name.encode()
    return lookup(text)


cdef int check_memory(int status) except -1:
    if status:
        raise MemoryError("not enough memory for the kernel's working space")
    return 0


cdef int set_targets(samples *s, list keep, object target, object sample_weight, int dtype) except -1:
    """Point s at targets and weights; what must stay alive goes into keep."""
    cdef cnp.ndarray array
    if target.ndim == 1:
        array = np.ascontiguousarray(target, dtype=np.int64)
        s.labels = <const int64_t *>cnp.PyArray_DATA(array)
    else:
        array = aligned(target)
        s.target = matrix_of(array)
    keep.append(array)
    if sample_weight is not None:
        array = np.ascontiguousarray(aligned(sample_weight))
        s.sample_weight = cnp.PyArray_DATA(array)
        keep.append(array)
    return 0


# Products ----------------------------------------------------------------------------------------

def dense_forward(x, weights, bias, activation="identity", *, out=None, n_threads=None):
    """See :func:`fastmlp.kernels.dense_forward`."""
    cdef product p
    cdef int status, threads, code = code_of(activation, fastmlp_activation_code)
    cdef cnp.ndarray a, b, c, d
    checked = None
    if (
        code >= 0 and plain_threads(n_threads) and plain(x, 2, -1)
        and plain(weights, 2, cnp.PyArray_TYPE(<cnp.ndarray>x))
        and plain(bias, 1, cnp.PyArray_TYPE(<cnp.ndarray>x))
        and cnp.PyArray_DIM(<cnp.ndarray>x, 1) == cnp.PyArray_DIM(<cnp.ndarray>weights, 0)
        and cnp.PyArray_DIM(<cnp.ndarray>weights, 1) == cnp.PyArray_DIM(<cnp.ndarray>bias, 0)
    ):
        checked = plain_output(
            out, cnp.PyArray_DIM(<cnp.ndarray>x, 0), cnp.PyArray_DIM(<cnp.ndarray>weights, 1),
            cnp.PyArray_TYPE(<cnp.ndarray>x), x, weights, bias,
        )
    if checked is None:
        checked = _checks.dense_forward(x, weights, bias, activation, out, n_threads)
    out = checked
    a, b, c, d = aligned(x), aligned(weights), out, np.ascontiguousarray(aligned(bias))
    if cnp.PyArray_SIZE(c) == 0:
        return out
    p.kernels = kernels_of(c)
    p.a, p.b, p.activations = matrix_of(a), matrix_of(b), no_matrix()
    p.a_by_columns, p.activation, p.factor = 0, code, 1
    p.n, p.depth, p.columns = cnp.PyArray_DIM(c, 0), cnp.PyArray_DIM(a, 1), cnp.PyArray_DIM(c, 1)
    p.bias, p.c = cnp.PyArray_DATA(d), cnp.PyArray_DATA(c)
    threads = threads_of(n_threads)
    with nogil:
        status = fastmlp_product(&p, threads)
    check_memory(status)
    return out


def delta_backward(delta, weights, activations, activation, *, out=None, n_threads=None):
    """See :func:`fastmlp.kernels.delta_backward`."""
    cdef product p
    cdef int status, threads, code = code_of(activation, fastmlp_activation_code)
    cdef cnp.ndarray a, b, c, d
    checked = None
    if (
        0 <= code < ACTIVATION_softmax and plain_threads(n_threads) and plain(delta, 2, -1)
        and plain(weights, 2, cnp.PyArray_TYPE(<cnp.ndarray>delta))
        and plain(activations, 2, cnp.PyArray_TYPE(<cnp.ndarray>delta))
        and cnp.PyArray_DIM(<cnp.ndarray>delta, 1) == cnp.PyArray_DIM(<cnp.ndarray>weights, 1)
        and cnp.PyArray_DIM(<cnp.ndarray>delta, 0) == cnp.PyArray_DIM(<cnp.ndarray>activations, 0)
        and cnp.PyArray_DIM(<cnp.ndarray>weights, 0) == cnp.PyArray_DIM(<cnp.ndarray>activations, 1)
    ):
        a = activations
        checked = plain_output(
            out, cnp.PyArray_DIM(a, 0), cnp.PyArray_DIM(a, 1), cnp.PyArray_TYPE(a), delta, weights, a
        )
    if checked is None:
        checked = _checks.delta_backward(delta, weights, activations, activation, out, n_threads)
    out = checked
    a, b, c, d = aligned(delta), aligned(weights), out, aligned(activations)
    if cnp.PyArray_SIZE(c) == 0:
        return out
    p.kernels = kernels_of(c)
    p.a, p.b, p.activations = matrix_of(a), transposed(matrix_of(b)), matrix_of(d)
    p.a_by_columns, p.activation, p.factor = 0, code, 1
    p.n, p.depth, p.columns = cnp.PyArray_DIM(c, 0), cnp.PyArray_DIM(a, 1), cnp.PyArray_DIM(c, 1)
    p.bias, p.c = NULL, cnp.PyArray_DATA(c)
    threads = threads_of(n_threads)
    with nogil:
        status = fastmlp_product(&p, threads)
    check_memory(status)
    return out


def weight_gradient(x, delta, *, out=None, n_threads=None):
    """See :func:`fastmlp.kernels.weight_gradient`."""
    cdef product p
    cdef int status, threads
    cdef cnp.ndarray a, b, c
    checked = None
    if (
        plain_threads(n_threads) and plain(x, 2, -1)
        and plain(delta, 2, cnp.PyArray_TYPE(<cnp.ndarray>x))
        and cnp.PyArray_DIM(<cnp.ndarray>x, 0) == cnp.PyArray_DIM(<cnp.ndarray>delta, 0)
    ):
        a, b = x, delta
        checked = plain_output(
            out, cnp.PyArray_DIM(a, 1), cnp.PyArray_DIM(b, 1), cnp.PyArray_TYPE(a), a, b, b
        )
    if checked is None:
        checked = _checks.weight_gradient(x, delta, out, n_threads)
    out = checked
    a, b, c = aligned(x), aligned(delta), out
    if cnp.PyArray_SIZE(c) == 0:
        return out
    p.kernels = kernels_of(c)
    p.a, p.b, p.activations = transposed(matrix_of(a)), matrix_of(b), no_matrix()
    p.a_by_columns = cnp.PyArray_STRIDE(a, 1) == cnp.PyArray_ITEMSIZE(a)
    p.n, p.depth, p.columns = cnp.PyArray_DIM(c, 0), cnp.PyArray_DIM(a, 0), cnp.PyArray_DIM(c, 1)
    p.activation, p.factor = fastmlp_activation_code("identity"), 1.0 / max(p.depth, 1)
    p.bias, p.c = NULL, cnp.PyArray_DATA(c)
    threads = threads_of(n_threads)
    with nogil:
        status = fastmlp_product(&p, threads)
    check_memory(status)
    return out


# Elements ----------------------------------------------------------------------------------------

cdef int run_elements(elements *e, cnp.ndarray out, object n_threads) except -1:
    cdef int threads = threads_of(n_threads)
    e.kernels = kernels_of(out)
    e.out = cnp.PyArray_DATA(out)
    if e.columns == 0 or (e.rows == 0 and e.what != ELEMENTS_column_sums):
        return 0
    with nogil:
        fastmlp_elements(e, threads)
    return 0


cdef elements elements_of(int what, cnp.ndarray a) noexcept:
    cdef elements e
    e.kernels, e.out = NULL, NULL
    e.what, e.activation, e.factor, e.update = what, 0, 1, NULL
    e.state[0] = e.state[1] = NULL
    e.b = no_matrix()
    e.rows, e.columns = 1, cnp.PyArray_DIM(a, cnp.PyArray_NDIM(a) - 1)
    e.a = no_matrix()
    e.a.data = <const char *>cnp.PyArray_DATA(a)
    if cnp.PyArray_NDIM(a) == 2:
        e.rows = cnp.PyArray_DIM(a, 0)
        e.a = matrix_of(a)
    return e


def activate(z, activation, *, out=None, n_threads=None):
    """See :func:`fastmlp.kernels.activate`."""
    out = _checks.activate(z, activation, out, n_threads)
    cdef cnp.ndarray a = aligned(z)
    cdef elements e = elements_of(ELEMENTS_activation, a)
    e.activation = code_of(activation, fastmlp_activation_code)
    run_elements(&e, out, n_threads)
    return out


def activation_backward(delta, activations, activation, *, out=None, n_threads=None):
    """See :func:`fastmlp.kernels.activation_backward`."""
    out = _checks.activation_backward(delta, activations, activation, out, n_threads)
    cdef cnp.ndarray a = aligned(delta), b = aligned(activations)
    cdef elements e = elements_of(ELEMENTS_activation, a)
    e.b = matrix_of(b)
    e.activation = code_of(activation, fastmlp_activation_code)
    run_elements(&e, out, n_threads)
    return out


def bias_gradient(delta, *, out=None, n_threads=None):
    """See :func:`fastmlp.kernels.bias_gradient`."""
    out = _checks.bias_gradient(delta, out, n_threads)
    cdef cnp.ndarray a = aligned(delta)
    cdef elements e = elements_of(ELEMENTS_column_sums, a)
    e.factor = 1.0 / max(e.rows, 1)
    run_elements(&e, out, n_threads)
    return out


cdef update update_of(object rule) except *:
    """The update rule of an UpdateRule, without the constants that change with the step."""
    cdef update u
    constants = rule.constants
    u.rule = code_of(rule.name, fastmlp_update_code)
    u.nesterov = bool(constants.get("nesterov", 0))
    u.momentum = constants.get("momentum", 0)
    u.beta_1 = constants.get("beta_1", 0)
    u.beta_2 = constants.get("beta_2", 0)
    u.epsilon = constants.get("epsilon", 0)
    u.rate = 0
    return u


cdef inline void set_step(update *u, double step, double rate, double epsilon, bint epsilon_hat,
                          bint adam) noexcept nogil:
    """Fold the learning rate and Adam's bias corrections of step t into u (see the reference)."""
    cdef double root
    u.rate = rate
    if adam:
        root = sqrt(1 - pow(u.beta_2, step))
        u.rate = rate * root / (1 - pow(u.beta_1, step))
        u.epsilon = epsilon if epsilon_hat else epsilon * root


cdef int run_update(update *u, object p, object g, object s0, object s1, object n_threads) except -1:
    cdef cnp.ndarray gradient = np.ascontiguousarray(aligned(g))
    cdef cnp.ndarray parameters = p
    cdef elements e = elements_of(ELEMENTS_update, gradient)
    e.update = u
    e.state[0] = cnp.PyArray_DATA(<cnp.ndarray>s0) if s0 is not None else NULL
    e.state[1] = cnp.PyArray_DATA(<cnp.ndarray>s1) if s1 is not None else NULL
    return run_elements(&e, parameters, n_threads)


def sgd_update(parameters, gradient, learning_rate, *, n_threads=None):
    """See :func:`fastmlp.kernels.sgd_update`."""
    _checks.update(parameters, gradient, n_threads)
    cdef update u
    u.rule, u.rate = fastmlp_update_code("sgd"), learning_rate
    run_update(&u, parameters, gradient, None, None, n_threads)


def momentum_update(
    parameters, gradient, velocity, learning_rate, momentum, nesterov=False, *, n_threads=None
):
    """See :func:`fastmlp.kernels.momentum_update`."""
    _checks.update(parameters, gradient, n_threads, velocity=velocity)
    cdef update u
    u.rule, u.rate = fastmlp_update_code("momentum"), learning_rate
    u.momentum, u.nesterov = momentum, bool(nesterov)
    run_update(&u, parameters, gradient, velocity, None, n_threads)


def adam_update(
    parameters, gradient, first_moment, second_moment, step, learning_rate=0.001, beta_1=0.9,
    beta_2=0.999, epsilon=1e-8, epsilon_hat=False, *, n_threads=None
):
    """See :func:`fastmlp.kernels.adam_update`."""
    _checks.update(
        parameters, gradient, n_threads, first_moment=first_moment, second_moment=second_moment
    )
    cdef update u
    u.rule, u.beta_1, u.beta_2 = fastmlp_update_code("adam"), beta_1, beta_2
    set_step(&u, step, learning_rate, epsilon, epsilon_hat, True)
    run_update(&u, parameters, gradient, first_moment, second_moment, n_threads)


# Losses ------------------------------------------------------------------------------------------

cdef int run_output(
    object scores, object target, object loss, object output, object sample_weight,
    object delta, object row_loss, object n_threads,
) except -1:
    cdef output_rows o
    cdef int status, threads = threads_of(n_threads)
    cdef cnp.ndarray z = aligned(scores)
    cdef list keep = []
    o.kernels = kernels_of(z)
    o.samples.x = matrix_of(z)
    o.samples.n_rows = cnp.PyArray_DIM(z, 0)
    o.samples.labels, o.samples.sample_weight, o.samples.order = NULL, NULL, NULL
    set_targets(&o.samples, keep, target, sample_weight, cnp.PyArray_TYPE(z))
    o.n, o.n_out = cnp.PyArray_DIM(z, 0), cnp.PyArray_DIM(z, 1)
    o.loss = code_of(loss, fastmlp_loss_code)
    o.output = code_of(output, fastmlp_activation_code)
    o.delta = cnp.PyArray_DATA(<cnp.ndarray>delta) if delta is not None else NULL
    o.row_loss = cnp.PyArray_DATA(<cnp.ndarray>row_loss) if row_loss is not None else NULL
    with nogil:
        status = fastmlp_output(&o, threads)
    return check_memory(status)


def output_delta(scores, target, loss, output, *, sample_weight=None, out=None, n_threads=None):
    """See :func:`fastmlp.kernels.output_delta`."""
    _checks.loss(scores, target, loss, output, sample_weight, n_threads)
    out = _checks.output("out", out, scores.shape, scores.dtype, scores, target)
    if out.size:
        run_output(scores, target, loss, output, sample_weight, out, None, n_threads)
    return out


def loss_value(scores, target, loss, output, *, sample_weight=None, n_threads=None):
    """See :func:`fastmlp.kernels.loss_value`."""
    _checks.loss(scores, target, loss, output, sample_weight, n_threads)
    if scores.size == 0:
        return 0.0
    losses = np.empty(len(scores), scores.dtype)
    run_output(scores, target, loss, output, None, None, losses, n_threads)
    losses = losses.astype(np.float64)
    if sample_weight is None:
        return float(losses.mean())
    weights = sample_weight.astype(np.float64)
    total = weights.sum()
    return float((losses * weights).sum() / total) if total > 0 else 0.0


# Networks ----------------------------------------------------------------------------------------

@cython.final
@cython.internal
cdef class Engine:
    """Owner of a C engine."""

    cdef engine *e
    cdef int dtype, loss, threads
    cdef long n_in, n_out, n_parameters

    def __cinit__(self, architecture, dtype, loss, rule, batch_size, n_threads):
        cdef int n_layers = len(architecture.sizes) - 1, l
        cdef long *sizes = <long *>malloc((n_layers + 1) * (sizeof(long) + sizeof(int)))
        if sizes == NULL:
            raise MemoryError
        cdef int *activations = <int *>(sizes + n_layers + 1)
        for l in range(n_layers + 1):
            sizes[l] = architecture.sizes[l]
        for l in range(n_layers - 1):
            activations[l] = code_of(architecture.activations[l], fastmlp_activation_code)
        self.dtype = np.dtype(dtype).num
        self.threads = threads_of(n_threads)
        self.n_in, self.n_out = sizes[0], sizes[n_layers]
        self.n_parameters = architecture.n_parameters
        self.e = fastmlp_engine_new(
            fastmlp_kernels(np.dtype(dtype).itemsize), n_layers, sizes, activations,
            code_of(architecture.output, fastmlp_activation_code),
            -1 if loss is None else code_of(loss, fastmlp_loss_code),
            code_of(rule, fastmlp_update_code), batch_size, self.threads,
        )
        free(sizes)
        if self.e == NULL:
            raise MemoryError("not enough memory for this network and batch size")

    def __dealloc__(self):
        fastmlp_engine_free(self.e)

    cdef bint fits(self, object flat) noexcept:
        return (
            plain(flat, 1, self.dtype)
            and cnp.PyArray_DIM(<cnp.ndarray>flat, 0) == self.n_parameters
            and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>flat)
        )

    cdef int forward(self, cnp.ndarray flat, cnp.ndarray x, cnp.ndarray out, bint scores) except -1:
        cdef matrix m = matrix_of(x)
        cdef long n = cnp.PyArray_DIM(x, 0)
        cdef const void *parameters = cnp.PyArray_DATA(flat)
        cdef void *to = cnp.PyArray_DATA(out)
        cdef int status
        if n == 0:
            return 0
        if n == 1:  # handing the GIL over would take longer than the prediction
            return check_memory(fastmlp_forward(self.e, parameters, m, n, scores, to, 1))
        with nogil:
            status = fastmlp_forward(self.e, parameters, m, n, scores, to, self.threads)
        return check_memory(status)


class Network:
    """See :class:`fastmlp.kernels.reference.Network`."""

    def __init__(self, architecture, dtype, *, n_threads=None):
        _checks.threads(n_threads)
        self.architecture = architecture
        self.dtype = np.dtype(dtype)
        self.n_threads = n_threads
        self._engine = Engine(architecture, dtype, None, "sgd", 0, n_threads)
        self._gradients = {}  # loss -> engine with memory for a batch, while no call uses it
        self._lock = threading.Lock()

    def predict(self, parameters, x, *, out=None):
        """Values of the output layer, shape ``(n, n_out)``."""
        cdef Engine engine = self._engine
        if (
            out is None and engine.fits(parameters) and plain(x, 2, engine.dtype)
            and cnp.PyArray_DIM(<cnp.ndarray>x, 1) == engine.n_in
        ):
            out = new_array(cnp.PyArray_DIM(<cnp.ndarray>x, 0), engine.n_out, engine.dtype)
            engine.forward(parameters, x, out, False)
            return out
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        _checks.rows(self.architecture, self.dtype, x)
        out = _checks.output("out", out, (len(x), engine.n_out), self.dtype, x, parameters)
        engine.forward(aligned(parameters), aligned(x), out, False)
        return out

    def loss(self, parameters, x, target, loss, *, sample_weight=None):
        """Mean loss of the rows, without a penalty."""
        cdef Engine engine = self._engine
        self.check(parameters, x, target, loss, sample_weight)
        scores = np.empty((len(x), engine.n_out), self.dtype)
        engine.forward(aligned(parameters), aligned(x), scores, True)
        return loss_value(
            scores, target, loss, self.architecture.output, sample_weight=sample_weight,
            n_threads=self.n_threads,
        )

    def loss_and_gradient(
        self, parameters, x, target, loss, *, sample_weight=None, l2=0.0, out=None
    ):
        """Mean loss plus ``½ l2 Σ W²``, and its gradient as a flat vector."""
        cdef samples s
        cdef list keep = []
        cdef cnp.ndarray a, flat, gradient
        cdef Engine engine
        cdef double value, penalty = l2
        cdef long n
        self.check(parameters, x, target, loss, sample_weight)
        out = _checks.output("out", out, parameters.shape, self.dtype, parameters, x)
        a, flat, gradient = aligned(x), aligned(parameters), out
        n = len(x)
        s.labels, s.sample_weight, s.order = NULL, NULL, NULL
        s.x, s.n_rows = matrix_of(a), n
        set_targets(&s, keep, target, sample_weight, cnp.PyArray_TYPE(a))
        rows, engine = self._take_engine(loss, n)
        with nogil:
            value = fastmlp_gradient(
                engine.e, cnp.PyArray_DATA(flat), &s, n, penalty, cnp.PyArray_DATA(gradient)
            )
        with self._lock:
            self._gradients[loss] = rows, engine
        return value, out

    def check(self, parameters, x, target, loss, sample_weight):
        """Name what is wrong with the arguments of a loss, if anything is."""
        check_loss(loss, self.architecture.output)
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        _checks.rows(self.architecture, self.dtype, x, target, sample_weight)

    def _take_engine(self, loss, rows):
        """An engine for gradients of that many rows that no other thread uses: (rows, engine)."""
        with self._lock:
            kept = self._gradients.pop(loss, None)
        if kept is not None and rows <= kept[0]:
            return kept
        rows = max(rows, 1)
        return rows, Engine(self.architecture, self.dtype, loss, "none", rows, self.n_threads)

    def __reduce__(self):
        return _new_network, (self.architecture, self.dtype, self.n_threads)


def _new_network(architecture, dtype, n_threads):
    return Network(architecture, dtype, n_threads=n_threads)


class Trainer:
    """See :class:`fastmlp.kernels.reference.Trainer`."""

    def __init__(
        self, architecture, dtype, loss, update_rule, *, batch_size, l2=0.0, l2_over_batch=False,
        n_threads=None,
    ):
        check_loss(loss, architecture.output)
        _checks.threads(n_threads)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self._architecture, self._dtype = architecture, np.dtype(dtype)
        self._rule = update_rule
        self._batch_size = int(batch_size)
        self._l2, self._l2_over_batch = float(l2), bool(l2_over_batch)
        self._engine = Engine(
            architecture, dtype, loss, update_rule.name, self._batch_size, n_threads
        )
        self._state_shape = (len(update_rule.slots), architecture.n_parameters)
        self._in_use = threading.Lock()
        self.step = 0

    def load(self, parameters, state=None, step=0):
        """Copy parameters (and optimizer state, zero by default) in."""
        cdef Engine engine = self._engine
        cdef const void *moments = NULL
        cdef cnp.ndarray flat, states
        self._check_vectors(parameters, state)
        flat = aligned(parameters)
        if state is not None:
            states = np.ascontiguousarray(aligned(state))
            moments = cnp.PyArray_DATA(states)
        with self._in_use:
            fastmlp_load(engine.e, cnp.PyArray_DATA(flat), moments)
            self.step = int(step)

    def store(self, parameters, state=None):
        """Copy parameters (and optimizer state) out, as of the last finished step."""
        cdef Engine engine = self._engine
        self._check_vectors(parameters, state)
        copy = np.empty(engine.n_parameters, self._dtype)
        moments = None if state is None else np.empty(self._state_shape, self._dtype)
        with self._in_use:
            fastmlp_store(
                engine.e, cnp.PyArray_DATA(<cnp.ndarray>copy),
                NULL if moments is None else cnp.PyArray_DATA(<cnp.ndarray>moments),
            )
        parameters[...] = copy
        if state is not None:
            state[...] = moments

    def run_epoch(self, x, target, order, learning_rate, *, sample_weight=None):
        """Visit the rows once, in ``order`` (as they come for ``None``), one step a batch.

        Returns the mean loss of the epoch, each batch's loss (with its penalty, before its
        update) weighted by its rows. Runs without the GIL; signals are looked at between steps.
        """
        cdef Engine engine = self._engine
        cdef samples s
        cdef list keep = []
        cdef cnp.ndarray rows = None, a
        cdef update u = update_of(self._rule)
        cdef double rate = learning_rate, epsilon = u.epsilon, total = 0, l2 = self._l2
        cdef bint over_batch = self._l2_over_batch, adam = self._rule.name == "adam"
        cdef bint epsilon_hat = bool(self._rule.constants.get("epsilon_hat", 0))
        cdef long n, at = 0, batch = self._batch_size, here, step = self.step, uninterrupted
        cdef long steps_between_signals

        _checks.rows(self._architecture, self._dtype, x, target, sample_weight)
        n = len(x)
        s.labels, s.sample_weight, s.order = NULL, NULL, NULL
        if order is not None:
            _checks.order(order, n)
            rows = np.ascontiguousarray(order, dtype=np.int64)
            s.order = <const int64_t *>cnp.PyArray_DATA(rows)
            n = len(rows)
        a = aligned(x)
        s.x, s.n_rows = matrix_of(a), n
        set_targets(&s, keep, target, sample_weight, engine.dtype)
        # About 10 ms of work on one slow core.
        steps_between_signals = 1 + <long>(1e8 / (6.0 * batch * engine.n_parameters + 3e4))
        if not self._in_use.acquire(blocking=False):
            raise RuntimeError("this Trainer is in use by another thread")
        try:
            while at < n:
                with nogil:
                    uninterrupted = steps_between_signals
                    while at < n and uninterrupted > 0:
                        here = batch if n - at > batch else n - at
                        step += 1
                        set_step(&u, <double>step, rate, epsilon, epsilon_hat, adam)
                        total += here * fastmlp_step(engine.e, &s, at, here, l2, over_batch, &u)
                        at += here
                        uninterrupted -= 1
                    fastmlp_choice_pause(&engine.e.choice)
                PyErr_CheckSignals()
        finally:
            self.step = step
            self._in_use.release()
        return total / n if n else 0.0

    @property
    def threads_in_use(self):
        """Threads that steps use at present: the fastest number so far, see src/choice.c."""
        cdef Engine engine = self._engine
        return engine.e.choice.threads[engine.e.choice.best]

    def _check_vectors(self, parameters, state):
        _checks.flat("parameters", parameters, self._architecture, self._dtype)
        if state is not None:
            _checks.array("state", state, self._state_shape, self._dtype)


def _vector_function(name, x):
    """exp, log, tanh, sigmoid or log1p (for 0…1) of a contiguous vector: for their test."""
    cdef cnp.ndarray a = np.ascontiguousarray(x)
    cdef cnp.ndarray out = np.empty_like(a)
    cdef int which = ("exp", "log", "tanh", "sigmoid", "log1p").index(name)
    kernels_of(a).function(which, cnp.PyArray_DATA(a), cnp.PyArray_DATA(out), cnp.PyArray_SIZE(a))
    return out
