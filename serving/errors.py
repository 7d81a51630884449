"""What can go wrong in serving, each with the HTTP status that it means.

Every message says what is wrong and what to do; the command line prints it, the server answers
`{"error": message}`.
"""


class ServingError(Exception):
    """Any failure of the service whose message is meant for people."""

    status: int = 500


class SettingsError(ServingError):
    """A setting, from the environment or the command line, that cannot be used."""


class StartError(ServingError):
    """The server cannot listen where it was told to, or its workers do not come up."""


class RequestError(ServingError):
    """A request that asks for something impossible."""

    status = 400


class TooLargeError(ServingError):
    """A request of more bytes than the service takes."""

    status = 413


class UnsupportedError(ServingError):
    """A request in a form that the service does not read."""

    status = 415


class ArtifactError(ServingError):
    """A version folder that cannot be served: empty, half-copied, broken, contradicting itself."""

    status = 503


class RepositoryError(ServingError):
    """The artifact folder does not let itself be changed."""


class ModelNotFoundError(ServingError):
    """A model name or version that is in no artifact folder."""

    status = 404


class ModelUnavailableError(ServingError):
    """There is nothing to answer with: no model at all, or none that could be loaded."""

    status = 503


class LabelNotFoundError(ServingError):
    """A version label that the model does not have, or whose version is not served."""

    status = 400


class TooLateError(ServingError):
    """The request waited until its deadline."""

    status = 504


class NotAPictureModelError(ServingError):
    """The model takes something other than pictures."""

    status = 422


class PictureError(ServingError):
    """An uploaded picture that cannot be classified.

    `status` is 400 (unreadable), 413 (too large), 415 (not an accepted type of picture) or 422
    (readable, but nothing to classify in it).
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
