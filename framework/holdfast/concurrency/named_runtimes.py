"""Runtimes by name: who is told one need not know the package that has it, nor import it."""

import importlib

from holdfast.concurrency.runtime import Runtime
from holdfast.contract.errors import ConfigurationError


def load_runtime(path: str, *, seed: int) -> Runtime:
    """The runtime that ``module:factory`` makes; ``run_in`` runs something in it, on its loop.

    The factory is a class of ``Runtime`` or a function, and takes the ``seed`` of ids and random
    numbers by name.

    Raises:
        ConfigurationError: the name leads to none, and why.
    """
    module_name, colon, attribute = path.partition(":")
    if not (module_name and colon and attribute):
        raise ConfigurationError(f"a runtime is named as module:factory, not {path!r}")
    try:
        module = importlib.import_module(module_name)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise ConfigurationError(f"runtime {path!r} cannot be imported: {error!r}") from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise ConfigurationError(f"module {module_name} has no factory {attribute!r} of a runtime")
    try:
        made: object = factory(seed=seed)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise ConfigurationError(f"runtime {path!r} cannot be made: {error!r}") from error
    if not isinstance(made, Runtime):
        raise ConfigurationError(f"{path} makes a {type(made).__name__}, and no Runtime")
    return made
