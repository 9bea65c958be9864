"""Threads: ``team`` runs the phases of a job, ``tuner`` finds out how many threads it gains from,
``limit`` is what threadpoolctl sets, ``use`` keeps an object to one caller at a time.
"""
