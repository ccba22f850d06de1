"""A language model that somebody else trained, by Hugging Face's `transformers`, as a network that reads our tokens.

What is learnt is a small product of two matrices beside each of its own, Hu et al. 2022, "LoRA", eq. 3, by `peft`:

    W' = W + 2 B A          A: rank × in, B: out × rank, zero at first

and the vectors of the tokens that it did not have, END and tags; its own weights are no parameters then, and stay in their folder. With rank 0 all of
its weights are learnt.

Shape letters: B batch, L tokens, V vocabulary, D width.
"""

from __future__ import annotations

import copy
import json
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from fenshen.errors import FenshenError, RunFolderError
from fenshen.media.folder import ModelFolder
from fenshen.nets.transformer import Cache
from fenshen.space import END

ALPHA = 2  # Times the rank: by this the product counts.
UNKNOWN = END + 1  # Never comes: byte pieces can spell any text.
KERNELS = "sdpa"  # A folder may name others, which would be fetched from elsewhere.


class Past(Cache):
    """Keys and values of what was read, in the form that the model likes."""

    def __init__(self, config: Any):
        super().__init__(0, 0)
        self.config = config
        self.forget()

    def forget(self) -> None:
        """Nothing read yet."""
        self.past = hugging_face().DynamicCache(config=self.config)


class Borrowed(nn.Module):
    """Tokens to the logits of what follows each of them; reads at most `context` tokens.

    rank 0: a network of this `architecture`, a config.json, whose weights are still to be loaded. Else the model in `start`, known by `sha256`.
    """

    def __init__(self, architecture: str, vocab: int, context: int, rank: int, dropout: float, start: Path, sha256: str):
        super().__init__()
        self.vocab, self.context = vocab, context
        if rank:
            body, new = body_of(start, sha256, vocab)
            self.body = _frozen(_with_adapters(copy.deepcopy(body, _as_they_are(body)), rank, dropout, new))
        else:
            self.body = _resized(architecture_of(architecture), vocab + 1)
        self.twice = _twice(self)
        self.register_state_dict_post_hook(_once)
        self.register_load_state_dict_pre_hook(_again)

    def begin(self) -> Past:
        """Nothing read yet."""
        return Past(self.body.config)

    def forward(self, tok_BL: Tensor, cache: Past | None = None, noise: torch.Generator | None = None) -> Tensor:
        """Logits (B, L, V), float32; as `fenshen.nets.transformer.Transformer`. What is dropped comes from torch's own state."""
        count = tok_BL.shape[1]
        if cache is not None:
            tok_BL, anew = cache.follow(tok_BL, self.context)
            if anew:
                cache.forget()
        theirs_BL = tok_BL.masked_fill(tok_BL == END, self.vocab)  # What begins a text need not be what ends one.
        found = self.body(input_ids=theirs_BL, past_key_values=None if cache is None else cache.past, use_cache=cache is not None)
        logit_BLV = found.logits[:, -count:, : self.vocab].float()
        logit_BLV[..., UNKNOWN] = -torch.inf
        return logit_BLV

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Weights that are not learnt are the same memory in every copy."""
        memo |= _as_they_are(self, parameters=False)
        other = type(self).__new__(type(self))
        memo[id(self)] = other
        other.__dict__ = copy.deepcopy(self.__dict__, memo)
        return other


def _twice(module: nn.Module) -> dict[str, str]:
    """Names of weights that are another one too, of which files keep one: what reads a token is often what says it."""
    first: dict[int, str] = {}
    names = [(name, first.setdefault(id(value), name)) for name, value in module.named_parameters(remove_duplicate=False)]
    return {name: same for name, same in names if name != same}


def _once(module: Borrowed, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    for name in module.twice:
        del state[prefix + name]


def _again(module: Borrowed, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    state |= {prefix + name: state[prefix + same] for name, same in module.twice.items() if prefix + same in state}


def hugging_face() -> Any:
    """`transformers`, quiet. FenshenError where it is missing."""
    try:
        import peft  # noqa: F401
        import transformers
    except ImportError:
        raise FenshenError("a model to go on from needs two packages that are not installed here: pip install 'fenshen[transformers]'") from None
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


@lru_cache(maxsize=1)
def body_of(start: Path, sha256: str, vocab: int) -> tuple[nn.Module, list[int]]:
    """The model in `start` with our tokens, float32, to be copied and not changed; and those of them that it does not know as such.

    RunFolderError where another model is there now, RecipeError where none is.
    """
    folder = ModelFolder(start)
    if folder.sha256 != sha256:
        raise RunFolderError("the model in {folder} is not the one that this run goes on from: bring that one back, or train a new run", folder=start)
    tags = [token for token, number in enumerate(folder.numbers(vocab)) if number is None]
    return read_body(folder, vocab).requires_grad_(False), [END, *tags]


def read_body(folder: ModelFolder, vocab: int) -> nn.Module:
    """The model in a folder, float32, its tokens in our order: `vocab` of them, and what begins a text. RunFolderError where it is damaged."""
    folder.config  # noqa: B018  A compressed one is refused.
    numbers = folder.numbers(vocab)
    try:
        body = hugging_face().AutoModelForCausalLM.from_pretrained(
            folder.path, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32, attn_implementation=KERNELS
        )
        return _resized(body, len(numbers), numbers)
    except FenshenError:
        raise
    except Exception as error:  # Whatever a stranger's file may make of a stranger's code.
        raise RunFolderError("the model in {folder} cannot be read: {problem}", folder=folder.path, problem=str(error).split("\n")[0]) from None


def architecture_of(architecture: str) -> nn.Module:
    """A model of that config.json with weights that mean nothing."""
    library = hugging_face()
    config = library.AutoConfig.for_model(**json.loads(architecture))
    return library.AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=KERNELS, trust_remote_code=False)


@torch.no_grad()
def _resized(body: nn.Module, count: int, numbers: list[int | None] | None = None) -> nn.Module:
    """With vectors for `count` tokens: those of `numbers`, the mean of all where it says None."""
    first, last = body.get_input_embeddings(), body.get_output_embeddings()  # type: ignore[operator]
    tied = last.weight is first.weight
    for layer in (first, last):
        for name, old in [(name, value) for name, value in layer.named_parameters() if len(value) == len(layer.weight)]:
            new = old.new_zeros(count, *old.shape[1:])
            if numbers is not None:
                new.copy_(torch.stack([old.mean(0) if number is None else old[number] for number in numbers]))
            setattr(layer, name, nn.Parameter(new))
    if tied:
        last.weight = first.weight
    first.num_embeddings = last.out_features = body.config.vocab_size = count  # type: ignore[union-attr]
    first.padding_idx = None
    return body


def _with_adapters(body: nn.Module, rank: int, dropout: float, new: list[int]) -> nn.Module:
    from peft import LoraConfig, inject_adapter_in_model

    names = {id(module): name.rpartition(".")[2] for name, module in body.named_modules()}
    first, last = body.get_input_embeddings(), body.get_output_embeddings()  # type: ignore[operator]
    layers = [first] if last.weight is first.weight else [first, last]
    wish = LoraConfig(r=rank, lora_alpha=ALPHA * rank, lora_dropout=dropout, target_modules="all-linear",
                      trainable_token_indices={names[id(layer)]: new for layer in layers})  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return inject_adapter_in_model(wish, body)


def _frozen(body: nn.Module) -> nn.Module:
    """What is not of an adapter becomes a buffer, which no optimizer moves and no file keeps."""
    for name, module in body.named_modules():
        for key, value in list(module._parameters.items()):
            if value is not None and not _adapts(f"{name}.{key}"):
                del module._parameters[key]
                module.register_buffer(key, value.detach(), persistent=False)
    return body


def _adapts(name: str) -> bool:
    return "lora_" in name or "trainable_tokens_delta" in name


def _as_they_are(module: nn.Module, parameters: bool = True) -> dict[int, Any]:
    """What `copy.deepcopy` is to know, so that a copy shares the buffers, and the parameters too."""
    return {id(tensor): tensor for tensor in (*module.buffers(), *(module.parameters() if parameters else ()))}
