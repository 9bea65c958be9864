"""Many networks at once.

``fitting`` is :func:`fastmlp.fit_many`: ``arguments`` says what each network gets, ``rows`` which
rows of shared arrays, ``crew`` are the threads that train them, ``progress`` shows how many are
done. ``prediction`` is :func:`fastmlp.predict_many`.
"""
