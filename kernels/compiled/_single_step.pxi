"""One step on arrays that need no check by NumPy: no Python between the call and C. Included by _core.pyx."""

# Multiplications and additions from which on a step lets the GIL go: about 20 microseconds.
cdef double RELEASE_FROM = 1e6


cdef bint plain_rows(object x, long n, long columns, int dtype, double low, double high) noexcept:
    """Whether x is a contiguous (n, columns) array of values in a range; (n,) for one column."""
    cdef cnp.ndarray a
    if not plain(x, 2, dtype) and not (columns == 1 and plain(x, 1, dtype)):
        return False
    a = <cnp.ndarray>x
    if cnp.PyArray_DIM(a, 0) != n or not cnp.PyArray_IS_C_CONTIGUOUS(a):
        return False
    if cnp.PyArray_NDIM(a) == 2 and cnp.PyArray_DIM(a, 1) != columns:
        return False
    return fastmlp_reals_within(
        cnp.PyArray_DATA(a), n * columns, <int>cnp.PyArray_ITEMSIZE(a), low, high
    )


cdef bint plain_labels(object y, long n, long n_out) noexcept:
    """Whether y is a contiguous (n,) array of class labels."""
    cdef cnp.ndarray a
    if n_out < 2 or not cnp.PyArray_CheckExact(y):
        return False
    a = <cnp.ndarray>y
    return (
        cnp.PyArray_NDIM(a) == 1 and cnp.PyArray_DIM(a, 0) == n
        and cnp.PyArray_TYPE(a) == cnp.NPY_INT64 and cnp.PyArray_IS_C_CONTIGUOUS(a)
        and cnp.PyArray_ISALIGNED(a) and cnp.PyArray_ISNOTSWAPPED(a)
        and fastmlp_labels_within(<const int64_t *>cnp.PyArray_DATA(a), n, n_out)
    )


cdef inline matrix dense_rows(cnp.ndarray a, long columns) noexcept:
    cdef matrix m
    m.data = <const char *>cnp.PyArray_DATA(a)
    m.column_stride = cnp.PyArray_ITEMSIZE(a)
    m.row_stride = columns * m.column_stride
    return m


cdef bint plain_rows_of(
    samples *s, long n_in, long n_out, int dtype, object x, object target, object weight,
    double low, double high,
) noexcept:
    """Point s at rows, targets and weights; false where they need a closer look."""
    cdef cnp.ndarray a
    cdef long n
    if not cnp.PyArray_CheckExact(x) or cnp.PyArray_NDIM(<cnp.ndarray>x) == 0:
        return False
    n = cnp.PyArray_DIM(<cnp.ndarray>x, 0)
    if n == 0 or not plain_rows(x, n, n_in, dtype, -INF, INF):
        return False
    memset(s, 0, sizeof(samples))
    s.n_rows = n
    s.x = dense_rows(<cnp.ndarray>x, n_in)
    if plain_rows(target, n, n_out, dtype, low, high):
        s.target = dense_rows(<cnp.ndarray>target, n_out)
    elif plain_labels(target, n, n_out):
        s.labels = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>target)
    else:
        return False
    if weight is not None:
        if not plain(weight, 1, dtype) or not plain_rows(weight, n, 1, dtype, 0, INF):
            return False
        a = <cnp.ndarray>weight
        if fastmlp_reals_within(cnp.PyArray_DATA(a), n, <int>cnp.PyArray_ITEMSIZE(a), 0, 0):
            return False
        s.sample_weight = cnp.PyArray_DATA(a)
    return True


cdef bint few_plain_rows(Engine engine, object x, object target, object weight) noexcept:
    """Whether rows need no closer look, of so few that looking in C is nothing beside NumPy's calls."""
    cdef samples s
    return (
        cnp.PyArray_CheckExact(x) and cnp.PyArray_SIZE(<cnp.ndarray>x) < 1 << 14
        and plain_rows_of(
            &s, engine.n_in, engine.n_out, engine.dtype, x, target, weight, -INF, INF
        )
    )


def plain_samples(architecture, dtype, x, target, sample_weight, low, high):
    """Whether rows, targets and weights need no closer look."""
    cdef samples s
    cdef int type_number = cnp.NPY_FLOAT32 if dtype.itemsize == 4 else cnp.NPY_FLOAT64
    sizes = architecture.sizes
    return plain_rows_of(
        &s, sizes[0], sizes[len(sizes) - 1], type_number, x, target, sample_weight, low, high
    )


cdef object single_step(
    trainer, Engine engine, const samples *s, double rate, cnp.ndarray parameters,
    cnp.ndarray shown, bint of_output,
):
    """Make a step; its loss. ``parameters`` and ``shown`` then hold the new parameters."""
    cdef size_t size = engine.n_parameters * cnp.PyArray_ITEMSIZE(parameters)
    cdef void *seen = cnp.PyArray_DATA(parameters)
    cdef long step = trainer.step + 1
    cdef c_update u = engine.update
    cdef int loss_code = engine.e.design.loss.code
    cdef unsigned long mode
    cdef double loss
    cdef object finished = None
    if memcmp(seen, cnp.PyArray_DATA(shown), size) != 0:
        trainer._reload(parameters)
    if of_output:
        engine.e.design.loss.code = LOSS_of_output
    if engine.calls_back:
        finished = trainer._copies()
    fastmlp_update_at(&u, <double>step, rate)
    if engine.calls_back or fastmlp_operations(engine.e, s.n_rows) > RELEASE_FROM:
        with nogil:
            mode = fastmlp_enter_steps(not engine.calls_back)
            loss = fastmlp_step(engine.e, s, 0, s.n_rows, step, &engine.penalty, &u)
            fastmlp_tuner_pause(&engine.e.tuner)
            fastmlp_leave_steps(mode)
    else:
        mode = fastmlp_enter_steps(1)
        loss = fastmlp_step(engine.e, s, 0, s.n_rows, step, &engine.penalty, &u)
        fastmlp_tuner_pause(&engine.e.tuner)
        fastmlp_leave_steps(mode)
    engine.e.design.loss.code = loss_code
    if finished is not None:
        check_callbacks(trainer, finished)
    check_fault(engine.e.c_pass.fault)
    trainer.step = step
    if engine.with_norm:
        trainer.gradient_norm = engine.e.gradient_norm
    fastmlp_store(engine.e, seen, NULL)
    memcpy(cnp.PyArray_DATA(shown), seen, size)
    return s.n_rows * loss / s.n_rows  # rounded as the mean over an epoch is
