"""Channels move (header, tensor) between stages: in memory, through shared memory on one host, over TCP between hosts.

To add a transport, write one file with a listener and a connector, and one entry in `channels.transports`.
"""
