"""First derivatives of a network by its inputs. Included by _core.pyx."""

cdef class LossCode:
    """A loss as C sees it, and what it calls: alive as long as it is."""

    cdef c_loss code
    cdef object loss
    cdef bint calls_back

    def __cinit__(self, loss, dtype, long n_out):
        self.loss = loss
        self.code = loss_of(loss, dtype, n_out, &self.calls_back)


cdef bint plain_shape(object x, int dtype, Py_ssize_t rows, long columns) noexcept:
    """Whether x is a plain array of that shape (rows -1: of any number)."""
    return (
        plain(x, 2, dtype) and cnp.PyArray_DIM(<cnp.ndarray>x, 1) == columns
        and (rows < 0 or cnp.PyArray_DIM(<cnp.ndarray>x, 0) == rows)
    )


cdef object new_result(int what, Py_ssize_t n, Engine engine):
    """An array for the derivatives of n rows."""
    cdef cnp.npy_intp shape[3]
    shape[0] = n
    shape[1] = engine.n_out if what != DERIVATIVE_back else engine.n_in
    shape[2] = engine.n_in
    return cnp.PyArray_EMPTY(3 if what == DERIVATIVE_jacobian else 2, shape, engine.dtype, 0)


cdef int run_derivative(
    Engine engine, derivative *d, cnp.ndarray flat, cnp.ndarray x, cnp.ndarray out, bint calls_back
) except -1:
    """Compute what d says of rows x; targets, loss and kind are set."""
    cdef double missing, operations
    d.design, d.flat, d.out = &engine.e.design, cnp.PyArray_DATA(flat), cnp.PyArray_DATA(out)
    d.samples.x = matrix_of(x)
    d.samples.n_rows = d.n = cnp.PyArray_DIM(x, 0)
    if cnp.PyArray_SIZE(out) == 0:
        return 0
    operations = <double>engine.n_parameters * (<double>d.n + <double>cnp.PyArray_SIZE(out) / engine.n_in)
    if operations < RELEASE_FROM and not calls_back:
        missing = fastmlp_derivative(d, engine.threads)
    else:
        with nogil:
            missing = fastmlp_derivative(d, engine.threads)
    if engine.custom or d.loss.custom != NULL:
        raise_pending()
    check_fault(d.fault)
    return check_memory(missing)


cdef object derive(
    object network, int what, object parameters, object x, object other, str name, object scores,
    object out,
):
    """Derivatives of rows; ``other`` are those by the outputs, or directions, or ``None``."""
    cdef Engine engine = network._engine
    cdef derivative d
    cdef cnp.ndarray rows, along
    cdef long columns = 0
    if what != DERIVATIVE_jacobian:
        columns = engine.n_out if what == DERIVATIVE_back else engine.n_in
    memset(&d, 0, sizeof(derivative))
    if (
        out is None and engine.fits(parameters) and plain_shape(x, engine.dtype, -1, engine.n_in) and
        (other is None or plain_shape(other, engine.dtype, cnp.PyArray_DIM(<cnp.ndarray>x, 0), columns))
    ):
        out = new_result(what, cnp.PyArray_DIM(<cnp.ndarray>x, 0), engine)
    else:
        out = _checks.derivative(
            network.architecture, network.dtype, parameters, x, other, name, columns, out
        )
    rows = aligned(x)
    if other is not None:
        along = aligned(other)
        d.samples.target = matrix_of(along)
    d.what, d.loss.code = what, LOSS_of_output
    d.output = ACTIVATION_identity if scores else engine.e.design.output
    run_derivative(engine, &d, aligned(parameters), rows, out, engine.calls_back)
    return out


class Derivatives:
    """First derivatives of a network, see :class:`fastmlp.kernels.reference.Network`."""

    def vjp(self, parameters, x, d_outputs, *, scores=False, out=None):
        """Derivatives of ``Σ d_outputs ⊙ Y`` by the inputs, ``(n, n_in)``."""
        return derive(self, DERIVATIVE_back, parameters, x, d_outputs, "d_outputs", scores, out)

    def jvp(self, parameters, x, d_x, *, scores=False, out=None):
        """How the outputs move where the rows move along ``d_x``, ``(n, n_out)``."""
        return derive(self, DERIVATIVE_along, parameters, x, d_x, "d_x", scores, out)

    def jacobian(self, parameters, x, *, scores=False, out=None):
        """``∂Y_k / ∂x_i`` of every row, ``(n, n_out, n_in)``."""
        return derive(self, DERIVATIVE_jacobian, parameters, x, None, "", scores, out)

    def input_gradients(self, parameters, x, target, loss, *, sample_weight=None, out=None):
        """The gradient of each row's loss by that row's inputs, ``(n, n_in)``."""
        cdef Engine engine = self._engine
        cdef derivative d
        cdef cnp.ndarray rows
        cdef LossCode code = self._losses.get(loss) if isinstance(loss, str) else None
        cdef list keep = []
        memset(&d, 0, sizeof(derivative))
        if code is None:
            check_loss(loss, self.architecture.output, engine.n_out)
            code = LossCode(loss if isinstance(loss, CustomLoss) else Loss.of(loss), self.dtype, engine.n_out)
            if isinstance(loss, str):  # others may hold native code of users
                self._losses[loss] = code
        if (
            out is None and sample_weight is None and engine.fits(parameters)
            and plain_shape(x, engine.dtype, -1, engine.n_in)
            and plain_shape(target, engine.dtype, cnp.PyArray_DIM(<cnp.ndarray>x, 0), engine.n_out)
        ):
            out = new_result(DERIVATIVE_back, cnp.PyArray_DIM(<cnp.ndarray>x, 0), engine)
        else:
            self.check(parameters, x, target, loss, sample_weight)
            out = _checks.derivative(
                self.architecture, self.dtype, parameters, x, None, "", engine.n_out, out
            )
        rows = aligned(x)
        set_targets(&d.samples, keep, target, sample_weight, engine.dtype)
        d.what, d.loss, d.output = DERIVATIVE_back, code.code, engine.e.design.output
        run_derivative(
            engine, &d, aligned(parameters), rows, out, engine.calls_back or code.calls_back
        )
        return out

    def hessian_product(self, parameters, direction, rows):
        """The passes of a product with the Hessian, or ``None`` for other activations."""
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        _checks.flat("direction", direction, self.architecture, self.dtype)
        if not is_bent(self.architecture):
            return None
        return HessianProduct(self, parameters, direction, rows)
