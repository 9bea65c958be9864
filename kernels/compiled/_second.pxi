"""Second-order sums. Included by _core.pyx."""

def gauss_newton(inputs, errors, residuals=None, *, out=None, n_threads=None):
    """See :func:`fastmlp.kernels.gauss_newton`."""
    layers, out = _checks.gauss_newton(inputs, errors, residuals, out, n_threads)
    cdef gauss_layer of_c[MAX_GAUSS_LAYERS]
    cdef gauss_newton_call g
    cdef cnp.ndarray a, d
    cdef int threads = threads_of(n_threads)
    cdef double missing
    cdef list keep = []
    memset(&g, 0, sizeof(gauss_newton_call))
    if len(layers) > MAX_GAUSS_LAYERS:
        raise ValueError(f"at most {MAX_GAUSS_LAYERS - 1} layers are possible here")
    for index, (x, delta, weights, bias) in enumerate(layers):
        a, d = aligned(x), np.ascontiguousarray(aligned(delta))
        keep += [a, d]
        of_c[index].inputs = matrix_of(a)
        of_c[index].errors = cnp.PyArray_DATA(d)
        of_c[index].n_in, of_c[index].n_out = cnp.PyArray_DIM(a, 1), cnp.PyArray_DIM(d, 2)
        of_c[index].weights, of_c[index].bias = weights, bias
    g.kernels = kernels_of(d)
    g.n, g.n_errors = cnp.PyArray_DIM(d, 0), cnp.PyArray_DIM(d, 1)
    g.n_layers, g.layers = len(layers), of_c
    g.out, g.order = <double *>cnp.PyArray_DATA(<cnp.ndarray>out), len(out)
    if g.n and g.n_errors:
        with nogil:
            missing = fastmlp_gauss_newton(&g, threads)
        check_memory(missing)
    return out


class SecondOrder:
    """Sums of second order of a whole network, see :class:`fastmlp.kernels.reference.Network`."""

    def gauss_newton(self, parameters, x, target, roots, *, out=None):
        """Gradient and Gauss–Newton matrix of ``½ Σ root² ‖Y - y‖²``, added up in float64."""
        cdef Engine engine = self._engine
        cdef gauss_layer of_c[MAX_GAUSS_LAYERS]
        cdef gauss_newton_call g
        cdef cnp.ndarray flat, rows, y, weights, along
        cdef double missing
        cdef int layer, n_layers = len(self.architecture.layer_shapes)
        cdef long weight = 0, bias = engine.n_parameters - sum(self.architecture.sizes[1:])
        out = _checks.sums_of_squares(
            self.architecture, self.dtype, parameters, x, target, roots, out
        )
        if n_layers >= MAX_GAUSS_LAYERS:
            raise ValueError("at most %d layers are possible here" % (MAX_GAUSS_LAYERS - 1))
        flat, rows, y = aligned(parameters), aligned(x), aligned(target)
        weights, along = np.ascontiguousarray(aligned(roots)), np.zeros(len(out) + 1)
        memset(&g, 0, sizeof(gauss_newton_call))
        g.kernels, g.design = kernels_of(flat), &engine.e.design
        g.n, g.n_errors, g.n_layers, g.layers = len(rows), engine.n_out, n_layers + 1, of_c
        of_c[0].inputs, g.target = matrix_of(rows), matrix_of(y)
        # The last layer is that of the residuals: they are the errors of one bias.
        for layer, (n_in, n_out) in enumerate((*self.architecture.layer_shapes, (0, 1))):
            of_c[layer].n_in, of_c[layer].n_out = n_in, n_out
            of_c[layer].weights, of_c[layer].bias = weight, bias
            weight, bias = weight + n_in * n_out, bias + n_out
        g.flat, g.roots = cnp.PyArray_DATA(flat), cnp.PyArray_DATA(weights)
        g.out, g.order = <double *>cnp.PyArray_DATA(<cnp.ndarray>out), len(out)
        g.along = <double *>cnp.PyArray_DATA(along)
        if g.n:
            with nogil:
                missing = fastmlp_gauss_newton(&g, engine.threads)
            check_memory(missing)
        return along[: engine.n_parameters], out


def solve_positive(matrix, right, *, n_threads=None):
    """See :func:`fastmlp.kernels.solve_positive`."""
    cdef cnp.ndarray a, b, found
    cdef const kernels *k
    cdef long n, bytes_
    cdef int threads
    cdef char *scratch
    cdef bint positive
    _checks.system(matrix, right, n_threads)
    threads = threads_of(n_threads)
    a, b = np.ascontiguousarray(aligned(matrix)), np.ascontiguousarray(aligned(right))
    n, k = cnp.PyArray_DIM(b, 0), kernels_of(b)
    found = np.empty(n, right.dtype)
    bytes_ = k.positive_scratch(n)
    scratch = fastmlp_scratch_take(bytes_)
    if scratch == NULL:
        check_memory(<double>bytes_)
    with nogil:
        positive = k.solve_positive(
            cnp.PyArray_DATA(a), cnp.PyArray_DATA(b), n, scratch, cnp.PyArray_DATA(found), threads
        )
        fastmlp_scratch_give(scratch)
    return found if positive else None


def solves_systems():
    """See :func:`fastmlp.kernels.solves_systems`."""
    return True
