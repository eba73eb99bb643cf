"""Engines wire stages and channels together and run a schedule: in one process, or as Ray actors.

A new engine is one file with a class that keeps the protocol `Engine`, and one entry in `engines.registry`.
"""
