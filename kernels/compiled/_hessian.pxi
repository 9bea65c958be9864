"""Products with the Hessian of a loss. Included by _core.pyx."""

cdef extern from "engine/derivatives.h" nogil:
    struct c_hessian "hessian":
        matrix x, delta, delta_dot
        void *z
        void *z_dot
        long n

    c_hessian *fastmlp_hessian_new(
        const design *, const void *, const void *, long, const double *, int, double *
    )
    void fastmlp_hessian_free(c_hessian *)
    void fastmlp_hessian_forward(c_hessian *)
    void fastmlp_hessian_back(c_hessian *, void *)


@cython.final
cdef class HessianProduct:
    """See :class:`fastmlp.kernels.reference.HessianProduct`."""

    cdef c_hessian *h
    cdef Engine engine  # whose design it reads
    cdef object dtype
    cdef long most, rows

    def __cinit__(self, network, parameters, direction, long rows):
        cdef double missing = 0
        cdef cnp.ndarray flat = aligned(parameters), along = aligned(direction)
        cdef cnp.ndarray bends = np.zeros((len(network.architecture.sizes), 2))
        for layer, name in enumerate(network.architecture.activations):
            bends[layer] = bend_of(name)
        self.engine, self.dtype, self.most, self.rows = network._engine, network.dtype, rows, 0
        self.h = fastmlp_hessian_new(
            &self.engine.e.design, cnp.PyArray_DATA(flat), cnp.PyArray_DATA(along), rows,
            <const double *>cnp.PyArray_DATA(bends), self.engine.threads, &missing,
        )
        if self.h == NULL:
            check_memory(missing, "a product with the Hessian")

    def __dealloc__(self):
        fastmlp_hessian_free(self.h)

    def forward(self, x):
        """Scores of at most ``rows`` rows and how they move, ``(n, n_out)`` each."""
        cdef cnp.ndarray z, z_dot, rows
        _checks.array("x", x, (f"at most {self.most}", self.engine.n_in), self.dtype)
        if not 0 < len(x) <= self.most:
            raise ValueError(f"x must have from 1 to {self.most} rows, got {len(x)}")
        rows = aligned(x)
        z = new_array(len(x), self.engine.n_out, self.engine.dtype)
        z_dot = new_array(len(x), self.engine.n_out, self.engine.dtype)
        self.h.x, self.h.n = matrix_of(rows), len(x)
        self.h.z, self.h.z_dot = cnp.PyArray_DATA(z), cnp.PyArray_DATA(z_dot)
        with nogil:
            fastmlp_hessian_forward(self.h)
        self.rows = self.h.n
        return z, z_dot

    def back(self, delta, delta_dot):
        """The product, flat, from the errors of the last rows' scores and how those move."""
        cdef cnp.ndarray errors, moved, product
        for name, given in (("delta", delta), ("delta_dot", delta_dot)):
            _checks.array(name, given, (self.rows, self.engine.n_out), self.dtype)
        if not self.rows:
            raise ValueError("back follows forward, which has seen no rows yet")
        errors, moved = aligned(delta), aligned(delta_dot)
        product = np.empty(self.engine.n_parameters, self.dtype)
        self.h.delta, self.h.delta_dot = matrix_of(errors), matrix_of(moved)
        with nogil:
            fastmlp_hessian_back(self.h, cnp.PyArray_DATA(product))
        return product
