"""Orders of rows, and how many epochs they are for. Included by _core.pyx."""

cdef enum:
    MT_WORDS = 624
    MT_AHEAD = 397

cdef struct mersenne_twister:
    uint32_t words[MT_WORDS]
    int at  # the next one


cdef struct drawing_bits:
    bitgen_t *bits
    mersenne_twister *twister  # what is behind them, where that is known: drawn from without a call


cdef inline uint32_t twisted(uint32_t upper, uint32_t lower, uint32_t ahead) noexcept nogil:
    cdef uint32_t both = (upper & 0x80000000U) | (lower & 0x7fffffffU)
    return ahead ^ (both >> 1) ^ ((0U - (both & 1)) & 0x9908b0dfU)


cdef void twist(mersenne_twister *m) noexcept nogil:
    """The next words of the Mersenne Twister (Matsumoto and Nishimura, 1998)."""
    cdef uint32_t *w = m.words
    cdef long i, before = MT_WORDS - MT_AHEAD
    for i in range(before):
        w[i] = twisted(w[i], w[i + 1], w[i + MT_AHEAD])
    for i in range(before, MT_WORDS - 1):
        w[i] = twisted(w[i], w[i + 1], w[i - before])
    w[MT_WORDS - 1] = twisted(w[MT_WORDS - 1], w[0], w[MT_AHEAD - 1])
    m.at = 0


cdef inline uint32_t next_bits(drawing_bits *from_) noexcept nogil:
    cdef mersenne_twister *m = from_.twister
    cdef uint32_t y
    if m == NULL:
        return from_.bits.next_uint32(from_.bits.state)
    if m.at >= MT_WORDS:
        twist(m)
    y = m.words[m.at]
    m.at += 1
    y ^= y >> 11
    y ^= (y << 7) & 0x9d2c5680U
    y ^= (y << 15) & 0xefc60000U
    return y ^ (y >> 18)


cdef void shuffle(int64_t *order, long n, drawing_bits *bits) noexcept nogil:
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
        j = next_bits(bits) & mask
        fits = j <= i
        j = i + (j - i) * fits
        here = order[i]
        order[i] = order[j]
        order[j] = here
        i -= fits


#: Whether NumPy's MT19937 lies in memory as a `mersenne_twister` does; not known is 0.
cdef bint twister_known = False


def look_at_twister(bit_generator):
    """Note whether this MT19937 is in memory what its ``state`` says; so are the others then."""
    global twister_known
    cdef mersenne_twister *m
    cdef cnp.ndarray words
    twister_known = False
    if bit_generator.__class__ is not np.random.MT19937:
        return False
    said = bit_generator.state["state"]
    words = np.ascontiguousarray(said["key"], np.uint32)
    m = <mersenne_twister *>bits_of(bit_generator).bits.state
    twister_known = (
        cnp.PyArray_DIM(words, 0) == MT_WORDS
        and memcmp(m.words, cnp.PyArray_DATA(words), sizeof(m.words)) == 0
        and m.at == said["pos"]
    )
    return twister_known


cdef drawing_bits bits_of(bit_generator) except *:
    """What NumPy's bit generators are in C; without bits for ``None``."""
    cdef drawing_bits found
    found.bits, found.twister = NULL, NULL
    if bit_generator is None:
        return found
    found.bits = <bitgen_t *>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
    if twister_known and bit_generator.__class__ is np.random.MT19937:
        found.twister = <mersenne_twister *>found.bits.state
    return found


def shuffled(bit_generators, orders, long count):
    """Orders that are shuffled, each one from the other: ``(k, count, n)``, without the GIL."""
    cdef cnp.ndarray last = np.array(orders, np.int64)
    cdef long k = cnp.PyArray_DIM(last, 0), n = cnp.PyArray_DIM(last, 1), i, epoch
    cdef cnp.ndarray found = np.empty((k, count, n), np.int64)
    cdef cnp.ndarray memory = np.empty(k * sizeof(drawing_bits), np.uint8)
    cdef drawing_bits *bits = <drawing_bits *>cnp.PyArray_DATA(memory)
    cdef int64_t *now = <int64_t *>cnp.PyArray_DATA(found)
    cdef const int64_t *before
    # One lock each, in an order that all callers have.
    locks = {id(bit_generator): bit_generator.lock for bit_generator in bit_generators}
    for i, bit_generator in enumerate(bit_generators):
        bits[i] = bits_of(bit_generator)
    with contextlib.ExitStack() as held:
        for name in sorted(locks):
            held.enter_context(locks[name])
        with nogil:
            for i in range(k):
                before = <const int64_t *>cnp.PyArray_DATA(last) + i * n
                for epoch in range(count):
                    memcpy(now, before, n * sizeof(int64_t))
                    shuffle(now, n, &bits[i])
                    before = now
                    now += n
    return found


cdef drawing(Engine engine, x, orders):
    """A bit generator that the engine may draw from while it makes epochs, or ``None``.

    A function of the user's may draw itself, and so may a signal handler, which is let in while a
    long step is made; of sparse rows all orders are looked at before the first step.
    """
    if isinstance(x, CSR) or engine.calls_back or len(x) >= 2**31:
        return None
    if steps_in_a_while(engine, min(engine.batch, len(orders.order))) == 1:
        return None
    return _epochs.bits_of(orders.generator)


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
