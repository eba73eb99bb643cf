"""Channels move (header, tensor) between stages: in memory, through shared memory on one host, over TCP between hosts.

To add a transport, write one file with an inlet and an outlet, and one entry in `channels.transports`.
"""
