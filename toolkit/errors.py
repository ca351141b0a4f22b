"""The errors that byoa raises on purpose, sorted by who can fix them.

- ToolkitError
  - UserError              whoever sent the request or started the job
    - BadPayload           400  the bytes do not say what their content type promises
    - BadAccept            406  no format answers the Accept header
    - NoSuchModel          404  a model that a multi-model server has not loaded
    - SlowClient           408  a request that does not arrive in time
    - ModelExists          409  a model that it has loaded already
    - PayloadTooLarge      413
    - BadContentType       415  no format reads the content type
    - BadHyperparameter    400
    - BadChannel           400
    - BadArtifact          400  a model file or archive
    - BadOption            400  an option, variable or configuration file
    - RequestRefused       400  a container answers a request of batch transform with a status from 400 to 499
  - AlgorithmFault         500  whoever wrote the plugin
  - ServerLimit            503  whoever runs the server: its queue is full
    - TookTooLong          504  an answer that is not there in time
    - NoMemory             507  a model that finds no room
  - ContainerFault         502  whoever made the container: it answers with an error of its own, or not at all

Each message is one sentence: where, what it must be, what it got. Anything that is not a ToolkitError is a defect
of this toolkit or of a plugin, and its trace goes to the log.
"""


class ToolkitError(Exception):
    """Something went wrong that one sentence can explain; `status` is the HTTP status of a request that met it."""

    status = 500


class UserError(ToolkitError):
    """The input is wrong: whoever sent it can mend it."""

    status = 400


class BadPayload(UserError):
    """A body or file that does not say what its content type promises."""


class BadAccept(UserError):
    """An Accept header that no format answers."""

    status = 406


class NoSuchModel(UserError):
    """A model that a multi-model server has not loaded."""

    status = 404


class ModelExists(UserError):
    """A model that a multi-model server has loaded already."""

    status = 409


class SlowClient(UserError):
    """A request that does not arrive in time."""

    status = 408


class PayloadTooLarge(UserError):
    """A body over the limit."""

    status = 413


class BadContentType(UserError):
    """A content type that no format reads."""

    status = 415


class BadHyperparameter(UserError):
    """A hyperparameter that is unknown, missing, out of range or contradicted by the data."""


class BadChannel(UserError):
    """A channel that is missing, empty or unknown."""


class BadArtifact(UserError):
    """A model file or model.tar.gz that cannot be what it should be."""


class BadOption(UserError):
    """A command's option, an environment variable or a configuration file that cannot be used."""


class RequestRefused(UserError):
    """A request that a container answered with a status from 400 to 499."""


class AlgorithmFault(ToolkitError):
    """A plugin breaks its contract: whoever wrote it can mend it."""


class ServerLimit(ToolkitError):
    """A server takes no more requests than its limits say; the same request may be answered a moment later."""

    status = 503


class TookTooLong(ServerLimit):
    """An answer that is not there within the server's time limit."""

    status = 504


class ContainerFault(ToolkitError):
    """A container or worker that answers with an error of its own, or not at all."""

    status = 502


class NoMemory(ServerLimit):
    """A model that finds no room beside those that a multi-model server has loaded."""

    status = 507
