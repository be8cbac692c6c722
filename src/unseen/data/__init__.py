"""Labelled images, divided into classes that are trained on and classes that are not.

`sources` list and read images, `splits` divides classes, `selection` chooses images, `canvases` decodes them and
`datamodule` makes batches. Importing the package itself loads neither torch nor Lightning.
"""
