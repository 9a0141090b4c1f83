"""What stands between models and the stream. `Scorer` puts the models of one process behind one call and one memory;
`score_frame` runs the very same detector over a plain table for the workbench; `checkpoints` keeps memory and place as one.
"""
