"""Arguments: what is plainly right, what C sees of an array. Included by _core.pyx."""

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


cdef inline bint plain_flat(object x, long n, int dtype) noexcept:
    """Whether x is plain and holds a network's n parameters side by side."""
    return (
        plain(x, 1, dtype) and cnp.PyArray_DIM(<cnp.ndarray>x, 0) == n
        and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>x)
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


cdef int code_of(object name, int (*lookup)(const char *) noexcept nogil) noexcept:
    """Number of a name in C, -1 for what C does not know: no text, and text that is no UTF-8, too."""
    cdef Py_ssize_t length
    cdef const char *text
    if not isinstance(name, str):
        return -1
    try:
        text = PyUnicode_AsUTF8AndSize(name, &length)  # kept by the string: nothing is made anew
    except UnicodeEncodeError:
        return -1
    return lookup(text) if strlen(text) == <size_t>length else -1


cdef int known_code(str what, object name, int (*lookup)(const char *) noexcept nogil) except -1:
    """Number of a name that C must know: a ValueError where it does not."""
    cdef int code = code_of(name, lookup)
    if code < 0:
        raise ValueError(f"the compiled backend has no {what} {name!r}")
    return code


cdef size_t native_address(object custom, object dtype, object n_out, bint *calls_back) except 0:
    """Address of a user's function: compiled, or one that calls back into NumPy."""
    address = custom.address(dtype) if n_out is None else custom.address(dtype, n_out)
    calls_back[0] |= address is None
    return custom.callback(dtype) if address is None else address


cdef int activation_of(
    object activation, object dtype, fastmlp_activation **custom, bint *calls_back
) except -1:
    """Code of a name, or of an activation that a user has defined."""
    custom[0] = NULL
    if isinstance(activation, str):
        return known_code("activation", activation, fastmlp_activation_code)
    custom[0] = <fastmlp_activation *>native_address(activation, dtype, None, calls_back)
    return ACTIVATION_custom


cdef c_loss loss_of(object loss, object dtype, long n_out, bint *calls_back) except *:
    """A Loss with all of its constants, or one that a user has defined."""
    cdef c_loss l
    memset(&l, 0, sizeof(c_loss))
    if isinstance(loss, CustomLoss):
        l.code = LOSS_custom
        l.target_outputs = loss.outputs_a_target
        l.custom = <fastmlp_loss *>native_address(
            loss, dtype, loss.outputs_a_target or n_out, calls_back
        )
        return l
    l.code = known_code("loss", loss.name, fastmlp_loss_code)
    for name, value in loss.constants.items():
        l.constants[known_code("constant of a loss", name, fastmlp_loss_constant_code)] = value
    return l


cdef c_update update_of(object rule) except *:
    """An UpdateRule with its constants, without what changes with the step."""
    cdef c_update u
    memset(&u, 0, sizeof(c_update))
    u.rule = known_code("update rule", rule.name, fastmlp_update_code)
    if fastmlp_states(u.rule) != len(rule.slots):
        raise ValueError(
            f"the compiled backend has {fastmlp_states(u.rule)} vectors of state for update rule "
            f"{rule.name!r}, got {len(rule.slots)}"
        )
    for name, value in rule.constants.items():
        u.constants[known_code("constant of an update rule", name, fastmlp_constant_code)] = value
    return u


cdef int check_memory(double missing, str what="the kernel's working space") except -1:
    """Raise MemoryError where a call says how many bytes it could not have."""
    if missing:
        size = f"{missing / 2**30:,.1f} GiB" if missing >= 2**30 else f"{missing / 2**20:.1f} MiB"
        raise MemoryError(f"not enough memory for {what}: {size} are needed")
    return 0


cdef int check_fault(int fault) except -1:
    """Raise IndexError where C has met labels or sparse rows that are not what was checked before."""
    if fault == FAULT_interrupted:
        return -1  # a signal handler has raised something
    if fault:
        what = "class labels" if fault == FAULT_label else "x.indices and x.indptr"
        raise IndexError(f"{what} must not change while they are used: they point outside now")
    return 0


cdef object set_csr(csr *to, object x):
    """Point at sparse rows; returns what must stay alive."""
    cdef cnp.ndarray values = np.ascontiguousarray(aligned(x.data))
    cdef cnp.ndarray columns = np.ascontiguousarray(aligned(x.indices))
    cdef cnp.ndarray starts = np.ascontiguousarray(aligned(x.indptr))
    to.values, to.n_entries = cnp.PyArray_DATA(values), cnp.PyArray_SIZE(values)
    to.columns, to.column_bytes = cnp.PyArray_DATA(columns), <int>cnp.PyArray_ITEMSIZE(columns)
    to.starts, to.start_bytes = cnp.PyArray_DATA(starts), <int>cnp.PyArray_ITEMSIZE(starts)
    return values, columns, starts


cdef int set_rows(samples *s, list keep, object x) except -1:
    """Point s at rows, an array or CSR; what must stay alive goes into keep."""
    cdef cnp.ndarray a
    if isinstance(x, CSR):
        s.x = no_matrix()
        keep.append(set_csr(&s.sparse, x))
    else:
        a = aligned(x)
        s.x = matrix_of(a)
        keep.append(a)
    return 0


cdef int set_targets(samples *s, list keep, object target, object sample_weight, int dtype) except -1:
    """Point s at targets and weights; what must stay alive goes into keep."""
    cdef cnp.ndarray array
    if target.ndim == 1:
        array = aligned(np.ascontiguousarray(target, dtype=np.int64))
        s.labels = <const int64_t *>cnp.PyArray_DATA(array)
    else:
        array = aligned(target)
        s.target = matrix_of(array)
    keep.append(array)
    s.targets = 0
    if isinstance(sample_weight, TargetWeights):
        array = aligned(sample_weight.factors)
        s.factors, s.targets = matrix_of(array), cnp.PyArray_DIM(array, 1)
        keep.append(array)
        sample_weight = sample_weight.rows
    if sample_weight is not None:
        array = np.ascontiguousarray(aligned(sample_weight))
        s.sample_weight = cnp.PyArray_DATA(array)
        keep.append(array)
    return 0
