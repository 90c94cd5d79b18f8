"""What is a credential: by the name under which it is given, or by its looks.

Credentials come from the environment alone. What stands in a command line is in the history of the
shell, in the list of processes and in what CI prints, and what a run was made against is written
down.
"""

import re
from collections.abc import Mapping
from typing import Final

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LAST: Final = frozenset({
    "apikey", "auth", "authorization", "bearer", "cookie", "credential", "credentials", "jwt",
    "key", "pass", "passphrase", "passwd", "password", "pwd", "sas", "secret", "sig", "signature",
    "token",
})  # fmt: skip
"""Words that end the name of a credential: `api-key`, `accessToken`, `X-Amz-Signature`."""
_RUN_TOGETHER: Final = re.compile(r"(?:apikey|accesskey|token|secret|password|signature)$")
_LOOKS: Final = re.compile(
    r"(?:bearer|basic|token)\s+\S{6,}|eyJ[\w-]{6,}\.[\w-]+|AIza[\w-]{10,}|"
    r"(?:sk|pk|rk|gh[opsu]|xox[abprs])[-_][\w-]{6,}",
    re.IGNORECASE,
)
SHORTEST: Final = 6
"""Characters of a value that can be told from an ordinary word."""


def is_credential_name(name: str) -> bool:
    """Whether what has this name (a parameter, a header, a variable) is a credential."""
    words = [word.lower() for word in _WORD.findall(name)]
    return bool(words) and (words[-1] in _LAST or bool(_RUN_TOGETHER.search("".join(words))))


def looks_like_credential(value: str) -> bool:
    """Whether a value has the form that well-known services give to theirs."""
    return _LOOKS.match(value) is not None


def variable_in(text: str, environ: Mapping[str, str]) -> str:
    """The variable of a credential whose value stands in a text; "": there is none.

    So it is where a shell has put the value in: between double quotes, or none at all.
    """
    return next(
        (
            name
            for name, value in environ.items()
            if len(value) >= SHORTEST
            and value in text
            and is_credential_name(name)
            and name != "PWD"  # where the shell is
        ),
        "",
    )
