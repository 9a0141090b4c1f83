"""The composition root: the only place that knows two rooms. Configuration in, a running pipeline out.

`App` is the whole stream in one process; `Journey` is what happens to a beat between the log and the tables;
`history` brings what was recorded elsewhere into the lake. Each step of the start pushes its own undo on one stack, so a
start that fails half-way and a normal stop run the same code.
"""
