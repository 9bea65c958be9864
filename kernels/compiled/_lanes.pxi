"""Small networks side by side, one in each lane of the vectors. Included by _core.pyx."""

cdef extern from "engine/lanes.h" nogil:
    enum: MAX_LANES

    struct c_lanes "lanes":
        const kernels *kernels
        c_loss loss
        long n_parameters

    long fastmlp_lane_rows(const kernels *)
    int fastmlp_rule_in_lanes(int)
    c_lanes *fastmlp_lanes_new(const request *, const c_update *, double *)
    void fastmlp_lanes_free(c_lanes *)
    void fastmlp_lanes_load(c_lanes *, int, const void *, const void *)
    void fastmlp_lanes_store(const c_lanes *, int, void *, void *)
    int fastmlp_lanes_step(c_lanes *, const samples *, long, long, long, const double *, double *)


def lanes(architecture, dtype, loss, update_rule, options):
    """See :func:`fastmlp.kernels.lanes`."""
    cdef const kernels *k = fastmlp_kernels(np.dtype(dtype).itemsize)
    for name in architecture.activations:
        if not isinstance(name, str):
            return 1
    if (
        isinstance(loss, CustomLoss) or options.l2 or options.l1 or any(options.dropout)
        or not all(options.trainable) or options.clip_value or options.clip_norm
        or options.max_norm or options.with_norm or options.batch_size > fastmlp_lane_rows(k)
        or not fastmlp_rule_in_lanes(code_of(update_rule.name, fastmlp_update_code))
    ):
        return 1
    return k.lanes


@cython.final
@cython.internal
cdef class Lanes:
    """Owner of networks in lanes."""

    cdef c_lanes *e
    cdef int dtype

    def __cinit__(self, architecture, dtype, loss, rule, long batch):
        cdef request d
        cdef c_update update = update_of(rule)
        cdef double missing
        cdef bint calls_back = False
        cdef cnp.ndarray sizes = np.array(architecture.sizes, np.dtype("long"))
        cdef cnp.ndarray activations = np.zeros(len(sizes), np.intc)
        memset(&d, 0, sizeof(request))
        self.dtype = np.dtype(dtype).num
        for l, name in enumerate(architecture.activations):
            activations[l] = known_code("activation", name, fastmlp_activation_code)
        d.kernels = fastmlp_kernels(np.dtype(dtype).itemsize)
        d.n_layers = len(sizes) - 1
        d.sizes = <const long *>cnp.PyArray_DATA(sizes)
        d.activations = <const int *>cnp.PyArray_DATA(activations)
        d.output = known_code("output activation", architecture.output, fastmlp_activation_code)
        d.batch = batch
        self.e = fastmlp_lanes_new(&d, &update, &missing)
        if self.e == NULL:
            check_memory(missing, "these networks and batch size")
        self.e.loss = loss_of(loss, dtype, architecture.sizes[d.n_layers], &calls_back)

    def __dealloc__(self):
        fastmlp_lanes_free(self.e)

    cdef bint fits(self, object flat, object state, tuple shape) noexcept:
        """Whether parameters and state (or None) can be read and written where they are."""
        return plain_flat(flat, self.e.n_parameters, self.dtype) and (
            state is None or (
                plain(state, 2, self.dtype) and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>state)
                and cnp.PyArray_DIM(<cnp.ndarray>state, 0) == <Py_ssize_t>shape[0]
                and cnp.PyArray_DIM(<cnp.ndarray>state, 1) == self.e.n_parameters
            )
        )


cdef int run_lanes(
    trainer, c_lanes *e, samples *s, const double *rate, bint rate_of_step, long n_epochs,
    double *losses,
) except -1:
    """The steps of some epochs; the mean losses of each go to ``losses``, all networks' together.

    ``rate`` has one for each network, of each step (``rate_of_step``) or epoch.
    """
    cdef long at = 0, n = s.n_rows, batch = trainer._options.batch_size, step = trainer.step, here
    cdef long epoch = 0, uninterrupted, steps_between_signals
    cdef int width = e.kernels.lanes, lane, fault = 0
    cdef double total[MAX_LANES]
    cdef double loss[MAX_LANES]
    cdef unsigned long mode
    cdef object halt = trainer._halt  # held here: the trainer may get another meanwhile
    cdef const volatile int32_t *halted = switch_of(halt)
    memset(total, 0, sizeof(total))
    steps_between_signals = 1 + <long>(
        1e8 / (6.0 * min(batch, n) * trainer._architecture.n_parameters * width + 3e4)
    )
    while epoch < n_epochs:
        if halted != NULL and halted[0]:
            raise _epochs.Halted
        with nogil:
            mode = fastmlp_enter_steps(1)
            uninterrupted = steps_between_signals
            while epoch < n_epochs and uninterrupted > 0:
                here = batch if n - at > batch else n - at
                fault = fastmlp_lanes_step(e, s, at, here, step + 1, rate, loss)
                if fault:
                    break
                for lane in range(width):
                    total[lane] += here * loss[lane]
                step += 1
                at += here
                rate += width * rate_of_step
                if at >= n:
                    for lane in range(width):
                        losses[lane] = total[lane] / n
                        if s[lane].order != NULL:
                            s[lane].order += n
                    losses += width
                    epoch += 1
                    at, rate = 0, rate + width * (not rate_of_step)
                    memset(total, 0, sizeof(total))
                uninterrupted -= 1
                if halted != NULL and halted[0]:
                    break
            fastmlp_leave_steps(mode)
        trainer.step = step
        check_fault(fault)
        PyErr_CheckSignals()
    return 0


class LaneTrainer:
    """See :class:`fastmlp.kernels.reference.LaneTrainer`."""

    def __init__(self, architecture, dtype, loss, update_rule, options, count):
        _checks.training(architecture, loss, options)
        width = lanes(architecture, dtype, loss, update_rule, options)
        if not 1 <= count <= width or width == 1:
            raise ValueError(f"{width} networks can be side by side with these options, got {count}")
        self._architecture, self._dtype = architecture, np.dtype(dtype)
        self._rule, self._options, self._count = update_rule, options, count
        self._state_shape = (len(update_rule.slots), architecture.n_parameters)
        self._lanes = Lanes(architecture, dtype, Loss.of(loss), update_rule, options.batch_size)
        self._starts_above_zero = any(map(update_rule.initial_value, update_rule.slots))
        self._use = Use("LaneTrainer")
        self.step = 0
        self._halt = None

    def load(self, which, parameters, state=None):
        """Copy the parameters of a network in, and its state; without one it starts anew."""
        cdef Lanes owner = self._lanes
        cdef Use use = self._use
        cdef const void *moments = NULL
        cdef cnp.ndarray flat
        cdef int lane
        self._check(which, parameters, state)
        if state is None and self._starts_above_zero:
            state = self._rule.initial_state(self._state_shape[1], 0.0, self._dtype)
        flat = aligned(parameters)
        if state is not None:
            state = np.ascontiguousarray(aligned(state))
            moments = cnp.PyArray_DATA(<cnp.ndarray>state)
        use.begin()
        for lane in range(owner.e.kernels.lanes):
            # Lanes without a network do as the first does: nothing in them is ever slow.
            if lane == which or which == 0 and lane >= self._count:
                fastmlp_lanes_load(owner.e, lane, cnp.PyArray_DATA(flat), moments)
        use.end()

    def store(self, which, parameters, state=None):
        """Copy the parameters of a network out (and its state), as of the last finished step."""
        cdef Lanes owner = self._lanes
        cdef Use use = self._use
        cdef void *moments = NULL
        self._check(which, parameters, state)
        # What is plain is written at once.
        direct = owner.fits(parameters, state, self._state_shape) and parameters.flags.writeable and (
            state is None or state.flags.writeable
        )
        flat = parameters if direct else np.empty(self._state_shape[1], self._dtype)
        copy = state if direct or state is None else np.empty(self._state_shape, self._dtype)
        if copy is not None:
            moments = cnp.PyArray_DATA(<cnp.ndarray>copy)
        begun = use.look()
        fastmlp_lanes_store(owner.e, which, cnp.PyArray_DATA(<cnp.ndarray>flat), moments)
        if begun:
            use.end()
        if not direct:
            parameters[...] = flat
            if state is not None:
                state[...] = copy

    def run_epochs(self, xs, targets, orders, learning_rates, *, out=None):
        """Visit the rows of every network once for each of its orders."""
        cdef Lanes owner = self._lanes
        cdef Use use = self._use
        cdef int width = owner.e.kernels.lanes, lane
        cdef samples s[MAX_LANES]
        cdef cnp.ndarray rates, losses
        cdef bint rate_of_step = learning_rates[0].ndim == 2
        out = _epochs.check_lanes(
            self._architecture, self._dtype, self._count, self._options.batch_size,
            xs, targets, orders, learning_rates, out,
        )
        keep = []
        for lane in range(self._count):
            rows = Samples(xs[lane], targets[lane], None, self._dtype)
            if orders[lane] is not None:
                order = orders[lane].copy()  # nobody else changes it while it is used
                every = order.reshape(-1)
                if not plain_labels(every, len(every), max(len(xs[lane]), 2)) or len(xs[lane]) < 2:
                    _checks.order(every, len(xs[lane]))
                rows.visit(order, order.shape[1])
            s[lane] = (<Samples>rows).s
            keep.append(rows)
        for lane in range(self._count, width):
            s[lane] = s[0]
        each = np.stack([*learning_rates, *[learning_rates[0]] * (width - self._count)], axis=-1)
        rates = np.ascontiguousarray(each)
        losses = np.full((out.shape[1], width), np.nan)
        use.begin()
        try:
            if s[0].n_rows:
                run_lanes(
                    self, owner.e, s, <const double *>cnp.PyArray_DATA(rates), rate_of_step,
                    out.shape[1], <double *>cnp.PyArray_DATA(losses),
                )
            else:
                losses.fill(0)
            return out
        finally:
            out[...] = losses.T[:self._count]
            use.end()

    @property
    def halt(self):
        """What another thread halts this trainer with, see :class:`fastmlp.kernels.Halted`."""
        return self._halt

    @halt.setter
    def halt(self, value):
        self._halt = _epochs.switch(value)

    def _check(self, which, parameters, state):
        if not 0 <= which < self._count:
            raise ValueError(f"there are {self._count} networks, got number {which}")
        cdef Lanes owner = self._lanes
        if owner.fits(parameters, state, self._state_shape):
            return
        _checks.flat("parameters", parameters, self._architecture, self._dtype)
        if state is not None:
            _checks.array("state", state, self._state_shape, self._dtype)
