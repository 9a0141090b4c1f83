"""The HTTP side: one ASGI application over one running `App`.

`build(app)` puts together what others send to (the receivers' routes, as they are), what machines ask (`/livez`, `/readyz`,
`/metrics`, and the API of `api` and `models` under one OpenAPI document), what is asked of deployed versions (`inference`: two
protocols over one set of lines, in which those who ask at once share a call), and what people look at (`pages` and `models`:
rendered here, usable without script; the charts are drawn by scripts that are served from here too). Everything passes one
`Guard` first: the name by which we were called, the token, and where a browser's request comes from. Everything leaves with the
same strict headers. What is shown is text that outsiders wrote: templates escape all of it, and characters that cannot be seen
or that turn the reading direction are spelt out. The room reads through `View` and `Reader`, and holds no state of its own but
who waits for an answer.
"""

from vedette.web.build import build
from vedette.web.view import View

__all__ = ["View", "build"]
