"""Labelled images, split into classes that training sees and classes it never sees.

Importing this package is free: it loads neither torch nor Lightning. The parts are `splits` (which classes),
`selection` (which images), `sources` (where images come from), `canvases` (decoding) and `datamodule`
(batches).
"""
