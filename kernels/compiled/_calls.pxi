"""The kernels on plain arrays. Included by _core.pyx."""

# Products

def dense_forward(x, weights, bias, activation="identity", *, out=None, n_threads=None):
    """See :func:`fastmlp.kernels.dense_forward`."""
    cdef product p
    cdef int threads, code = code_of(activation, fastmlp_activation_code)
    cdef cnp.ndarray a, b, c, d
    cdef double missing
    cdef bint calls_back = False
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
    p.over_rows, p.factor = 0, 1
    p.custom = NULL
    p.activation = code if code >= 0 else activation_of(activation, c.dtype, &p.custom, &calls_back)
    p.n, p.depth, p.columns = cnp.PyArray_DIM(c, 0), cnp.PyArray_DIM(a, 1), cnp.PyArray_DIM(c, 1)
    p.bias, p.c = cnp.PyArray_DATA(d), cnp.PyArray_DATA(c)
    threads = threads_of(n_threads)
    with nogil:
        missing = fastmlp_product(&p, threads)
    if p.custom != NULL:
        raise_pending()
    check_memory(missing)
    return out


cdef inline bint is_hidden(int code) noexcept:
    """Whether that is an activation of hidden layers."""
    return 0 <= code < ACTIVATION_softmax and code != ACTIVATION_exp


def delta_backward(delta, weights, activations, activation, *, out=None, n_threads=None):
    """See :func:`fastmlp.kernels.delta_backward`."""
    cdef product p
    cdef int threads, code = code_of(activation, fastmlp_activation_code)
    cdef cnp.ndarray a, b, c, d
    cdef double missing
    cdef bint calls_back = False
    checked = None
    if (
        is_hidden(code) and plain_threads(n_threads) and plain(delta, 2, -1)
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
    p.over_rows, p.factor = 0, 1
    p.custom = NULL
    p.activation = code if code >= 0 else activation_of(activation, c.dtype, &p.custom, &calls_back)
    p.n, p.depth, p.columns = cnp.PyArray_DIM(c, 0), cnp.PyArray_DIM(a, 1), cnp.PyArray_DIM(c, 1)
    p.bias, p.c = NULL, cnp.PyArray_DATA(c)
    threads = threads_of(n_threads)
    with nogil:
        missing = fastmlp_product(&p, threads)
    if p.custom != NULL:
        raise_pending()
    check_memory(missing)
    return out


def weight_gradient(x, delta, *, out=None, n_threads=None):
    """See :func:`fastmlp.kernels.weight_gradient`."""
    cdef product p
    cdef int threads
    cdef double missing
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
    p.over_rows = 1
    p.n, p.depth, p.columns = cnp.PyArray_DIM(c, 0), cnp.PyArray_DIM(a, 0), cnp.PyArray_DIM(c, 1)
    p.activation, p.custom = fastmlp_activation_code("identity"), NULL
    p.factor = 1.0 / max(p.depth, 1)
    p.bias, p.c = NULL, cnp.PyArray_DATA(c)
    threads = threads_of(n_threads)
    with nogil:
        missing = fastmlp_product(&p, threads)
    check_memory(missing)
    return out


# Elements

cdef int run_elements(elements *e, cnp.ndarray out, object n_threads) except -1:
    cdef int threads = threads_of(n_threads)
    e.kernels = kernels_of(out)
    e.out = cnp.PyArray_DATA(out)
    if e.columns == 0 or (e.rows == 0 and e.what != ELEMENTS_column_sums):
        return 0
    with nogil:
        fastmlp_elements(e, threads)
    if e.custom != NULL:
        raise_pending()
    return 0


cdef elements elements_of(int what, cnp.ndarray a) noexcept:
    cdef elements e
    e.kernels, e.out = NULL, NULL
    e.what, e.activation, e.factor, e.update, e.custom = what, 0, 1, NULL, NULL
    e.state[0] = e.state[1] = e.state[2] = NULL
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
    cdef bint calls_back = False
    e.activation = activation_of(activation, a.dtype, &e.custom, &calls_back)
    run_elements(&e, out, n_threads)
    return out


def activation_backward(delta, activations, activation, *, out=None, n_threads=None):
    """See :func:`fastmlp.kernels.activation_backward`."""
    out = _checks.activation_backward(delta, activations, activation, out, n_threads)
    cdef cnp.ndarray a = aligned(delta), b = aligned(activations)
    cdef elements e = elements_of(ELEMENTS_activation, a)
    cdef bint calls_back = False
    e.b = matrix_of(b)
    e.activation = activation_of(activation, a.dtype, &e.custom, &calls_back)
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


cdef int run_update(c_update *u, object p, object g, tuple state, object n_threads) except -1:
    cdef cnp.ndarray gradient = np.ascontiguousarray(aligned(g))
    cdef elements e = elements_of(ELEMENTS_update, gradient)
    cdef int i
    e.update = u
    if len(state) != fastmlp_states(u.rule):
        raise ValueError(f"expected {fastmlp_states(u.rule)} vectors of state, got {len(state)}")
    for i in range(len(state)):
        e.state[i] = cnp.PyArray_DATA(<cnp.ndarray>state[i])
    return run_elements(&e, p, n_threads)


def update(rule, parameters, gradient, state, step, learning_rate, *, n_threads=None):
    """See :func:`fastmlp.kernels.update`."""
    _checks.update(rule, parameters, gradient, state, step, n_threads)
    cdef c_update u = update_of(rule)
    fastmlp_update_at(&u, step, learning_rate)
    run_update(&u, parameters, gradient, tuple(state), n_threads)


# Losses

cdef int run_output(
    object scores, object target, object loss, object output, object sample_weight,
    object delta, object row_loss, object n_threads,
) except -1:
    cdef output_rows o
    cdef int threads = threads_of(n_threads)
    cdef double missing
    cdef bint calls_back = False
    cdef cnp.ndarray z = aligned(scores)
    cdef list keep = []
    o.kernels = kernels_of(z)
    o.samples.x = matrix_of(z)
    o.samples.n_rows = cnp.PyArray_DIM(z, 0)
    o.samples.labels, o.samples.sample_weight, o.samples.order = NULL, NULL, NULL
    set_targets(&o.samples, keep, target, sample_weight, cnp.PyArray_TYPE(z))
    o.n, o.n_out = cnp.PyArray_DIM(z, 0), cnp.PyArray_DIM(z, 1)
    o.loss = loss_of(Loss.of(loss), z.dtype, o.n_out, &calls_back)
    o.output = known_code("output activation", output, fastmlp_activation_code)
    o.delta = cnp.PyArray_DATA(<cnp.ndarray>delta) if delta is not None else NULL
    o.row_loss = cnp.PyArray_DATA(<cnp.ndarray>row_loss) if row_loss is not None else NULL
    with nogil:
        missing = fastmlp_output(&o, threads)
    if o.loss.custom != NULL:
        raise_pending()
    check_fault(o.fault)
    return check_memory(missing)


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
    weights = sample_weight
    if isinstance(sample_weight, TargetWeights):
        weights = sample_weight.rows
    run_output(
        scores, target, loss, output, None if weights is sample_weight else sample_weight, None,
        losses, n_threads,
    )
    losses = losses.astype(np.float64)
    if weights is None:
        return float(losses.mean())
    weights = weights.astype(np.float64)
    total = weights.sum()
    return float((losses * weights).sum() / total) if total > 0 else 0.0
