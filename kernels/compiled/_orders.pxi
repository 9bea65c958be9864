"""Orders of rows, and how many epochs they are for. Included by _core.pyx."""

cdef void shuffle(int64_t *order, long n, bitgen_t *bits) noexcept nogil:
    """Shuffle as NumPy's generators do, with numbers of so many bits, drawn until one fits.

    A draw in four does not, and which nobody can predict: instead of a loop until one does, every draw
    swaps two places, of which one that does not fit makes the same one twice.
    """
    cdef uint32_t mask = 0xffffffff
    cdef long i = n - 1, j, fits
    cdef int64_t here
    while i > 0:
        while mask >> 1 >= <uint32_t>i:
            mask >>= 1
        j = bits.next_uint32(bits.state) & mask
        fits = j <= i
        j = i + (j - i) * fits
        here = order[i]
        order[i] = order[j]
        order[j] = here
        i -= fits


cdef bitgen_t *bits_of(generator) except? NULL:
    """Where a generator's bits come from, or ``NULL`` for none."""
    if generator is None:
        return NULL
    return <bitgen_t *>PyCapsule_GetPointer(generator.bit_generator.capsule, "BitGenerator")


def shuffled(generators, orders, long count):
    """Orders that generators shuffle, each one from the other: ``(k, count, n)``, without the GIL."""
    cdef cnp.ndarray last = np.array(orders, np.int64)
    cdef long k = cnp.PyArray_DIM(last, 0), n = cnp.PyArray_DIM(last, 1), i, epoch
    cdef cnp.ndarray found = np.empty((k, count, n), np.int64)
    cdef cnp.ndarray addresses = np.empty(k, np.uintp)
    cdef bitgen_t **bits = <bitgen_t **>cnp.PyArray_DATA(addresses)
    cdef int64_t *now = <int64_t *>cnp.PyArray_DATA(found)
    cdef const int64_t *before
    # One lock each, in an order that all callers have.
    locks = {id(generator.bit_generator): generator.bit_generator.lock for generator in generators}
    for i, generator in enumerate(generators):
        bits[i] = bits_of(generator)
    with contextlib.ExitStack() as held:
        for name in sorted(locks):
            held.enter_context(locks[name])
        with nogil:
            for i in range(k):
                before = <const int64_t *>cnp.PyArray_DATA(last) + i * n
                for epoch in range(count):
                    memcpy(now, before, n * sizeof(int64_t))
                    shuffle(now, n, bits[i])
                    before = now
                    now += n
    return found


cdef drawing(Engine engine, x, orders):
    """A generator that the engine may draw from while it makes epochs, or ``None``.

    A function of the user's may draw itself, and so may a signal handler, which is let in while a
    long step is made; of sparse rows all orders are looked at before the first step.
    """
    if isinstance(x, CSR) or engine.calls_back or len(x) >= 2**31:
        return None
    if steps_in_a_while(engine, min(engine.batch, len(orders.order))) == 1:
        return None
    return _epochs.drawing_alike(orders.generator)


cdef struct plateau_so_far:
    bint judged
    double best, worse, tol, patience


cdef plateau_so_far plateau_at(plateau):
    """A :class:`fastmlp.kernels.Plateau`, or ``None``, as C takes it."""
    cdef plateau_so_far p
    p.judged = plateau is not None
    p.best = p.worse = p.tol = p.patience = 0
    if p.judged:
        p.best, p.worse = plateau.best, plateau.worse
        p.tol, p.patience = plateau.tol, plateau.patience
    return p


cdef bint reached_after(plateau_so_far *p, double loss) noexcept nogil:
    """What ``Plateau.after`` does; whether the plateau is reached then."""
    p.worse = p.worse + 1 if loss > p.best - p.tol else 0
    p.best = loss if loss < p.best else p.best
    return p.judged and p.worse > p.patience
