"""The errors of serving, each with its HTTP status.

Every message says what is wrong and what to do about it. The command line prints it; the server
answers `{"error": message}`.
"""


class ServingError(Exception):
    """The base of all errors whose message is meant for people."""

    status: int = 500


class SettingsError(ServingError):
    """An invalid setting, from the environment or the command line."""


class StartError(ServingError):
    """The server cannot bind its address, or its workers do not come up."""


class RequestError(ServingError):
    """An invalid request."""

    status = 400


class TooLargeError(ServingError):
    """A request with more bytes than the service takes."""

    status = 413


class UnsupportedError(ServingError):
    """A request in an encoding that the service does not read."""

    status = 415


class ArtifactError(ServingError):
    """A version folder that cannot be served: empty, half-copied, broken or inconsistent."""

    status = 503


class RepositoryError(ServingError):
    """An artifact folder that cannot be written."""


class ModelNotFoundError(ServingError):
    """A model name or version that is in no artifact folder."""

    status = 404


class ModelUnavailableError(ServingError):
    """No model can answer: there is none, or none could be loaded."""

    status = 503


class LabelNotFoundError(ServingError):
    """A version label that the model does not have, or whose version is not served."""

    status = 400


class TooLateError(ServingError):
    """A request that has passed its deadline."""

    status = 504


class NotAPictureModelError(ServingError):
    """A model that does not classify pictures was asked to."""

    status = 422


class PictureError(ServingError):
    """A picture that cannot be classified.

    `status` is 400 (unreadable), 413 (too large), 415 (not an accepted type of picture) or 422
    (readable, but nothing to classify in it).
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
