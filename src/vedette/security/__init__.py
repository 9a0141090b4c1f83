"""What must not get in, must not get out, or must not be reached.

Redaction takes secrets and personal data out of text before the log sees it; secrets are declared by reference only; an
address that users configure is checked against internal ranges before anything connects to it.
"""

from vedette.security.redaction import Redaction, RedactionSettings
from vedette.security.secrets import secret

__all__ = ["Redaction", "RedactionSettings", "secret"]
