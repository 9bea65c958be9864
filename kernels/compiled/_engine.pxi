"""The C engine's owner, which networks and trainers share. Included by _core.pyx."""

cdef int signals_say_stop() noexcept with gil:
    """Whether a signal handler has raised something, which then waits to be raised."""
    return look_at_signals() != 0


@cython.final
@cython.internal
cdef class Engine:
    """Owner of a C engine."""

    cdef engine *e
    cdef int dtype, threads
    cdef object loss, activations  # whose native code the engine calls: alive as long as it is
    cdef long n_in, n_out, n_parameters
    cdef bint custom  # functions of users may have raised something
    cdef bint calls_back  # some of them are in Python
    cdef c_update update  # of a trainer
    cdef penalty penalty  # of its options
    cdef long batch
    cdef bint with_norm

    def __cinit__(
        self, architecture, dtype, loss, rule, long batch, options, bint sparse=False,
        bint shards=False,
    ):
        cdef request d
        cdef fastmlp_activation *custom
        cdef double missing
        if architecture.n_parameters > MAX_SIZE:
            check_memory(architecture.n_parameters * np.dtype(dtype).itemsize, "this network")
        cdef cnp.ndarray sizes = np.array(architecture.sizes, np.dtype("long"))
        cdef cnp.ndarray activations = np.zeros(len(sizes), np.intc)
        cdef cnp.ndarray functions = np.zeros(len(sizes), np.uintp)
        cdef cnp.ndarray probabilities = np.array(options.dropout, np.float64)
        cdef cnp.ndarray frozen = np.array([not learns for learns in options.trainable], np.intc)
        cdef int l
        memset(&d, 0, sizeof(request))
        self.dtype = np.dtype(dtype).num
        self.threads = threads_of(options.n_threads)
        self.penalty.l2, self.penalty.l1 = options.l2, options.l1
        self.penalty.over_batch = options.l2_over_batch
        self.batch, self.with_norm = batch, options.with_norm
        d.n_layers = len(architecture.sizes) - 1
        self.n_in, self.n_out = architecture.sizes[0], architecture.sizes[d.n_layers]
        self.n_parameters = architecture.n_parameters
        self.activations = architecture.activations
        for l, name in enumerate(architecture.activations):
            activations[l] = activation_of(name, dtype, &custom, &self.calls_back)
            functions[l] = <size_t>custom
            self.custom |= custom != NULL
        d.kernels = fastmlp_kernels(np.dtype(dtype).itemsize)
        d.sizes = <const long *>cnp.PyArray_DATA(sizes)
        d.activations = <const int *>cnp.PyArray_DATA(activations)
        d.custom_activations = <fastmlp_activation **>cnp.PyArray_DATA(functions)
        d.output = known_code("output activation", architecture.output, fastmlp_activation_code)
        d.rule = UPDATE_none
        if rule is not None:
            self.update = update_of(rule)
            d.rule = self.update.rule
        d.batch, d.sparse, d.shards, d.n_threads = batch, sparse, shards, self.threads
        if probabilities.size:
            d.dropout = <const double *>cnp.PyArray_DATA(probabilities)
        d.seed = options.seed
        if frozen.size:
            d.frozen = <const int *>cnp.PyArray_DATA(frozen)
        d.clip_value, d.clip_norm = options.clip_value or 0, options.clip_norm or 0
        d.max_norm, d.with_norm = options.max_norm or 0, options.with_norm
        self.e = fastmlp_engine_new(&d, &missing)
        if self.e == NULL:
            check_memory(missing, "this network and batch size")
        self.e.c_pass.interrupted = signals_say_stop
        if loss is not None:
            self.set_loss(loss, dtype)

    def __dealloc__(self):
        fastmlp_engine_free(self.e)

    cdef int set_loss(self, object loss, object dtype) except -1:
        """Go over to another loss: no memory depends on it."""
        self.e.design.loss = loss_of(loss, dtype, self.n_out, &self.calls_back)
        self.custom |= self.e.design.loss.custom != NULL
        self.loss = loss
        return 0

    cdef bint fits(self, object flat) noexcept:
        return plain_flat(flat, self.n_parameters, self.dtype)

    def predict_plain(self, parameters, x, Py_ssize_t limit, out=None):
        """See :class:`fastmlp.kernels._plain.PlainPredictions`."""
        cdef const void *panels = NULL
        cdef cnp.ndarray flat
        cdef Py_ssize_t n
        if type(parameters) is Packed:
            if (<Packed>parameters).engine is not self:
                return None
            panels, flat = (<Packed>parameters).panels, (<Packed>parameters).flat
        elif self.fits(parameters):
            flat = parameters
        else:
            return None
        if (
            not plain(x, 2, self.dtype) or cnp.PyArray_DIM(<cnp.ndarray>x, 1) != self.n_in
            or cnp.PyArray_SIZE(<cnp.ndarray>x) > limit
        ):
            return None
        n = cnp.PyArray_DIM(<cnp.ndarray>x, 0)
        if out is None:
            result = new_array(n, self.n_out, self.dtype)
        else:
            result = plain_output(out, n, self.n_out, self.dtype, x, flat, flat)
            if result is None:
                return None
        self.forward(flat, x, result, False, panels)
        return result

    cdef int forward(
        self, cnp.ndarray flat, object x, cnp.ndarray out, bint scores, const void *packed=NULL
    ) except -1:
        cdef forward f
        cdef csr entries
        cdef object kept
        cdef double missing
        memset(&f, 0, sizeof(forward))
        f.flat, f.out, f.packed = cnp.PyArray_DATA(flat), cnp.PyArray_DATA(out), packed
        f.n, f.scores = cnp.PyArray_DIM(out, 0), scores
        if isinstance(x, cnp.ndarray):
            f.x = matrix_of(<cnp.ndarray>x)
        else:
            kept = set_csr(&entries, x)
            f.sparse = &entries
        if f.n == 0:
            return 0
        if fastmlp_is_brief(&self.e.design, f.n):  # handing the GIL over would take longer
            missing = fastmlp_forward(&self.e.design, &f, 1)
        else:
            with nogil:
                missing = fastmlp_forward(&self.e.design, &f, self.threads)
        if self.custom:
            raise_pending()
        check_fault(f.fault)
        return check_memory(missing)


@cython.final
cdef class Packed:
    """Parameters of a network, copied into panels for many predictions. Nothing changes it."""

    cdef Engine engine
    cdef cnp.ndarray flat, memory  # the parameters as they were given, and their panels
    cdef const void *panels

    def __cinit__(self, Engine engine, cnp.ndarray parameters):
        self.engine = engine
        self.flat = zeros_at_line(len(parameters), parameters.dtype)
        self.flat[...] = parameters
        self.memory = zeros_at_line(fastmlp_packed_bytes(&engine.e.design), np.uint8)
        self.panels = cnp.PyArray_DATA(self.memory)
        fastmlp_pack(&engine.e.design, cnp.PyArray_DATA(self.flat), cnp.PyArray_DATA(self.memory))
