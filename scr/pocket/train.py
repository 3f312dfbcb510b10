"""How is the pocket model made? ``python -m scr.pocket.train --out DIR [--resume]`` trains it from nothing.

Tokenizer, weights and chat template come out as a Hugging Face folder. The stream of samples depends on the seed and
the chunk number alone, so a run that was stopped and resumed gives the weights of an unbroken one. A share of the
samples swaps the residual state at the last subject token, after a middle block, between two texts of one relation,
and the answer follows the state: what the model knows about a subject then sits where locate-and-edit methods look.
"""

import argparse
import functools
import hashlib
import json
import logging
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy, embedding, linear, rms_norm, silu
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from scr.pocket.data import MIX, Generator, Sample, stream
from scr.pocket.facts import load_facts

log = logging.getLogger(__name__)

ROPE_BASE = 10_000.0
SWAP_LAYER = 2
"""The block after which figures about swapped states are taken; training swaps around it."""
SYSTEM, USER, ASSISTANT, END, PAD = "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>"
_ROLES = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
# The next segment's first word then has its space, so that a name has the same tokens at the start of a quoted fact,
# on a new line and inside a sentence: what is copied is the same sequence everywhere.
_WORD_STARTS = ("\n", "\n\n", '- "')


@dataclass(frozen=True, slots=True)
class Phase:
    """What is trained on, and how, up to so many tokens."""

    until: int
    mix: str
    """Of ``scr.pocket.data.MIX``."""
    batch_tokens: int
    """Tokens in a batch, padding counted. Many small steps find reading sooner."""
    context_weight: float
    """What a token outside the answers counts: a name that comes again teaches to copy. With 0 reading had not come
    after 3.4 million tokens, with 0.5 it came at 1.2 million; knowing facts comes sooner without."""


PHASES = (
    Phase(3_000_000, "reading", 1024, 0.5),
    Phase(8_000_000, "all", 2560, 0.1),
    Phase(15_500_000, "all", 2560, 0.02),
    Phase(sys.maxsize, "last", 3072, 0.02),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One training run."""

    seed: int = 0
    vocab_size: int = 4096
    tokenizer_texts: int = 12_000
    """Texts that the tokenizer is trained on."""
    layers: int = 5
    width: int = 256
    heads: int = 8
    tokens: int = 38_000_000
    """All tokens that are seen, padding not counted."""
    phases: tuple[Phase, ...] = PHASES
    fused: bool = True
    """Blocks compiled by ``torch.compile``; needs a C++ compiler."""
    chunk: int = 512
    """Samples that are sorted by length together; checkpoints fall between chunks."""
    learning_rate: float = 2e-3
    final_share: float = 0.767
    """The last share of the tokens, over which the learning rate falls to a fiftieth."""
    warmup_tokens: int = 200_000
    weight_decay: float = 0.02
    swap_layers: tuple[int, ...] = (1, 2, 3)
    """Blocks after which states are swapped; one is drawn per batch."""
    checkpoint_minutes: float = 1.0
    begun_from: str | None = None
    """The sha256 of the weights that the run began from; None: from nothing."""


def going_on(config: TrainConfig, begun_from: str) -> TrainConfig:
    """``config`` for a run that begins from finished weights: the last mix alone, answers alone, a gentler start."""
    return replace(
        config,
        tokens=19_000_000,
        phases=(replace(PHASES[-1], context_weight=0.0),),
        learning_rate=8e-4,
        final_share=1.0,
        begun_from=begun_from,
    )


# --- tokenizer -------------------------------------------------------------------------------------------------


def train_tokenizer(texts: Iterator[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE with single digits, so that numbers are copied digit by digit."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True),
            pre_tokenizers.Split(Regex(r"\d"), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [PAD, END, SYSTEM, USER, ASSISTANT]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(_WORD_STARTS),
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in _WORD_STARTS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        model_input_names=["input_ids", "attention_mask"],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )


def tokenizer_texts(generator: Generator, seed: int, count: int) -> Iterator[str]:
    """Training samples as plain text, and every fact's names, for the tokenizer."""
    samples = stream(generator, {**MIX["all"], "recalling": 1.0}, random.Random(f"tokenizer-{seed}"))
    for fact in generator.facts:
        yield f" {fact.subject} {fact.object}"
        yield f" {fact.subject} {fact.object}"
    for _ in range(count):
        for sample in next(samples)[1]:
            yield from (" " + content for _, content in sample.turns)


# --- samples to tensors ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One encoded sample."""

    ids: list[int]
    learn: list[int]
    """Positions of answer tokens (each is predicted from the position before)."""
    subject: int
    """Position of the last subject token where states are to be swapped, else -1."""


def encode(tokenizer: PreTrainedTokenizerFast, sample: Sample) -> Row:
    """The token ids of a sample as the chat template (or a raw prompt and its continuation) gives them."""
    backend: Tokenizer = tokenizer.backend_tokenizer
    end = tokenizer.eos_token_id
    ids: list[int] = []
    learn: list[int] = []
    subject = -1
    for number, (role, content) in enumerate(sample.turns):
        if sample.chat:
            ids.append(tokenizer.convert_tokens_to_ids(_ROLES[role]))
        answer = role == "assistant"
        text = f" {content}" if answer and not sample.chat else content
        encoding = backend.encode(text, add_special_tokens=False)
        start = len(ids)
        ids += encoding.ids
        last = number == len(sample.turns) - 1
        if sample.chat or answer:
            ids.append(end)
        if answer and (last or not sample.learn_last_only):
            learn += range(start, len(ids))
        if sample.exchange is not None and role == "user":
            subject = start + last_token_of(sample.exchange.subject, content, encoding.offsets)
    return Row(ids, learn, subject)


def last_token_of(subject: str, text: str, offsets: Sequence[tuple[int, int]]) -> int:
    """Index of the token that holds the last character of the last occurrence of ``subject`` in ``text``."""
    at = text.rindex(subject) + len(subject) - 1
    return next(i for i, (a, b) in enumerate(offsets) if a <= at < b)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows padded on the right to one length."""

    ids: torch.Tensor  # (rows, length)
    rows: torch.Tensor  # (answer tokens,)
    positions: torch.Tensor  # (answer tokens,), of the token itself
    partner: torch.Tensor  # (rows,): whose state to take; oneself where none is swapped
    subject: torch.Tensor  # (rows,): where
    kinds: tuple[str, ...]
    tokens: int


def batches(
    units: Sequence[tuple[str, tuple[Row, ...]]], batch_tokens: int, pad: int, rng: random.Random
) -> list[Batch]:
    """Units of about one length together, pairs never torn apart; the batches in random order."""
    ordered = sorted(units, key=lambda unit: max(len(row.ids) for row in unit[1]))
    groups: list[list[tuple[str, tuple[Row, ...]]]] = [[]]
    rows = 0
    for unit in ordered:
        length = -(-max(len(row.ids) for row in unit[1]) // 8) * 8
        if groups[-1] and (rows + len(unit[1])) * length > batch_tokens:
            groups.append([])
            rows = 0
        groups[-1].append(unit)
        rows += len(unit[1])
    made = [_batch(group, pad) for group in groups if group]
    rng.shuffle(made)
    return made


def _batch(units: Sequence[tuple[str, tuple[Row, ...]]], pad: int) -> Batch:
    rows = [row for _, unit in units for row in unit]
    kinds = tuple(kind for kind, unit in units for _ in unit)
    length = -(-max(len(row.ids) for row in rows) // 8) * 8
    partner: list[int] = []
    for _, unit in units:
        first = len(partner)
        swapped = len(unit) == 2 and unit[0].subject >= 0
        partner += [first + 1, first] if swapped else range(first, first + len(unit))
    return Batch(
        ids=torch.tensor([row.ids + [pad] * (length - len(row.ids)) for row in rows]),
        rows=torch.tensor([i for i, row in enumerate(rows) for _ in row.learn]),
        positions=torch.tensor([p for row in rows for p in row.learn]),
        partner=torch.tensor(partner),
        subject=torch.tensor([max(row.subject, 0) for row in rows]),
        kinds=kinds,
        tokens=sum(len(row.ids) for row in rows),
    )


# --- model -----------------------------------------------------------------------------------------------------


def new_model(config: TrainConfig, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """The untrained model."""
    torch.manual_seed(config.seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.width,
            intermediate_size=-(-config.width * 8 // 3 // 32) * 32,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            use_cache=True,
        )
    )
    model.generation_config.do_sample = False
    model.generation_config.max_new_tokens = 32
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def answer_logits(
    model: LlamaForCausalLM, batch: Batch, swap_after: int, dtype: torch.dtype = torch.bfloat16, *, fused: bool = False
) -> torch.Tensor:
    """Logits of the answer tokens, shape (answer tokens, vocab), states swapped after block ``swap_after``.

    What ``LlamaForCausalLM`` computes, written out: on a CPU half the time of the general code, and the states can be
    swapped on the way. Padding stands on the right, so the causal mask alone is enough. ``fused``: blocks as
    ``torch.compile`` makes them, in half the time again; it needs a C++ compiler.
    """
    config = model.config
    width = config.hidden_size
    each = width // config.num_attention_heads
    rows, length = batch.ids.shape
    table = model.model.embed_tokens.weight.to(dtype)
    hidden = embedding(batch.ids, table)  # (rows, length, width)
    angles = torch.arange(length).float()[:, None] / ROPE_BASE ** (torch.arange(0, each, 2).float() / each)
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    mask = torch.full((length, length), float("-inf"), dtype=dtype).triu(1)
    swapped = (batch.partner != torch.arange(rows)).nonzero()[:, 0]
    run = _fused_block() if fused else _block
    for number, block in enumerate(model.model.layers):
        attention, mlp = block.self_attn, block.mlp
        hidden = run(
            hidden,
            torch.cat((attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight)).to(dtype),
            attention.o_proj.weight.to(dtype),
            torch.cat((mlp.gate_proj.weight, mlp.up_proj.weight)).to(dtype),
            mlp.down_proj.weight.to(dtype),
            block.input_layernorm.weight.to(dtype),
            block.post_attention_layernorm.weight.to(dtype),
            mask,
            cos,
            sin,
            config.rms_norm_eps,
        )
        if number == swap_after and len(swapped):
            others = batch.partner[swapped]
            hidden = hidden.index_put((swapped, batch.subject[swapped]), hidden[others, batch.subject[others]])
    last = hidden[batch.rows, batch.positions - 1]
    return linear(rms_norm(last, (width,), model.model.norm.weight.to(dtype), config.rms_norm_eps), table).float()


def _block(
    hidden: torch.Tensor,  # (rows, length, width)
    query_key_value: torch.Tensor,
    output: torch.Tensor,
    gate_up: torch.Tensor,
    down: torch.Tensor,
    norm_before: torch.Tensor,
    norm_after: torch.Tensor,
    mask: torch.Tensor,  # (length, length)
    cos: torch.Tensor,  # (length, half of a head)
    sin: torch.Tensor,
    eps: float,
) -> torch.Tensor:
    rows, length, width = hidden.shape
    each = cos.shape[1] * 2
    inner = rms_norm(hidden, (width,), norm_before, eps)
    split = linear(inner, query_key_value).view(rows, length, 3, width // each, each).permute(2, 0, 3, 1, 4)
    query, key = _rotated(split[0], cos, sin), _rotated(split[1], cos, sin)
    scores = torch.matmul(query, key.transpose(-1, -2)) * each**-0.5 + mask
    mixed = torch.matmul(scores.softmax(-1), split[2])
    hidden = hidden + linear(mixed.transpose(1, 2).reshape(rows, length, width), output)
    inner = rms_norm(hidden, (width,), norm_after, eps)
    gate, up = linear(inner, gate_up).chunk(2, -1)
    return hidden + linear(silu(gate) * up, down)


@functools.cache
def _fused_block() -> Callable[..., torch.Tensor]:
    return torch.compile(_block)


def _rotated(states: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    a, b = states.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def loss_and_hits(
    model: LlamaForCausalLM, batch: Batch, swap_after: int, context_weight: float = 0.0, *, fused: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean loss over answer tokens, and for each row whether all of its answer tokens are the most probable ones.

    With ``context_weight`` above 0 the other tokens count too, by that weight against an answer token's 1.
    """
    answer = torch.zeros(batch.ids.shape, dtype=torch.bool)
    answer[batch.rows, batch.positions] = True
    counted = answer
    if context_weight:
        counted = batch.ids != model.config.pad_token_id
        counted[:, 0] = False
    rows, positions = counted.nonzero(as_tuple=True)
    logits = answer_logits(model, replace(batch, rows=rows, positions=positions), swap_after, fused=fused)
    labels = batch.ids[rows, positions]
    answers = answer[rows, positions]
    weight = answers.float().clamp(min=context_weight)
    loss = (cross_entropy(logits, labels, reduction="none") * weight).sum() / weight.sum()
    wrong = logits.detach()[answers].argmax(-1) != labels[answers]
    misses = torch.zeros(len(batch.ids)).index_add(0, rows[answers], wrong.float())
    return loss, misses == 0


# --- training --------------------------------------------------------------------------------------------------


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised by five Newton-Schulz steps (Jordan et al., 2024), all matrices of one shape at once.

    As ``torch.optim.Muon(adjust_lr_fn="match_rms_adamw")``, which takes one matrix after the other: on two cores that
    is five times slower, and was half of the training time.
    """

    def __init__(self, parameters: Iterable[torch.Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": 0.95})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step over all parameters that have a gradient."""
        assert closure is None
        for group in self.param_groups:
            shapes: dict[torch.Size, list[torch.Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes.setdefault(parameter.shape, []).append(parameter)
            for shape, same in shapes.items():
                gradient = torch.stack([p.grad for p in same if p.grad is not None])
                momentum = self.state[same[0]].setdefault("momentum", torch.zeros_like(gradient))
                momentum.lerp_(gradient, 1 - group["momentum"])
                step = orthogonalised(gradient.lerp(momentum, group["momentum"]))
                rate = group["lr"] * 0.2 * max(shape) ** 0.5
                for parameter, change in zip(same, step.to(gradient.dtype), strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(change, alpha=-rate)


def orthogonalised(matrices: torch.Tensor) -> torch.Tensor:
    """Near the orthogonal factor of each of ``matrices`` (number, rows, columns), in bfloat16: singular values in
    about [0.7, 1.2]."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).bfloat16()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=-4.775, alpha=2.0315), x, beta=3.4445)
    return x.mT if tall else x


def optimizers(model: LlamaForCausalLM, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for embeddings and norms."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if not (p.ndim == 2 and "embed" not in n)]
    rate = config.learning_rate
    return [
        Muon(matrices, lr=rate, weight_decay=config.weight_decay),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def rate_at(tokens: int, config: TrainConfig) -> float:
    """The learning rate after ``tokens``: a short rise, a plateau, a straight fall at the end."""
    left = (config.tokens - tokens) / (config.tokens * config.final_share)
    return config.learning_rate * min(1.0, tokens / config.warmup_tokens + 0.02, max(0.02, left))


def train(
    config: TrainConfig,
    out: Path,
    *,
    begin_from: Path | None = None,
    resume: bool = False,
    stop_after: float | None = None,
) -> Path:
    """Train, with checkpoints in ``out``; return the folder ``out/model``.

    ``begin_from`` is a finished model's folder, whose tokenizer and weights the run begins with. ``stop_after``
    (minutes) ends the run early with a checkpoint, to be resumed.
    """
    out.mkdir(parents=True, exist_ok=True)
    generator = Generator(load_facts())
    if resume and (out / "tokenizer").is_dir():
        tokenizer = PreTrainedTokenizerFast.from_pretrained(out / "tokenizer", local_files_only=True)
    else:
        if begin_from is not None:
            tokenizer = PreTrainedTokenizerFast.from_pretrained(begin_from, local_files_only=True)
        else:
            tokenizer = train_tokenizer(
                tokenizer_texts(generator, config.seed, config.tokenizer_texts), config.vocab_size
            )
        tokenizer.save_pretrained(out / "tokenizer")
    model = new_model(config, tokenizer)
    if begin_from is not None:
        finished = LlamaForCausalLM.from_pretrained(begin_from, local_files_only=True, dtype=torch.float32)
        model.load_state_dict(finished.state_dict())
    tuners = optimizers(model, config)
    chunk = tokens = 0
    if resume and (out / "checkpoint.pt").exists():
        state = torch.load(out / "checkpoint.pt", weights_only=True)
        model.load_state_dict(state["model"])
        for tuner, saved in zip(tuners, state["tuners"], strict=True):
            tuner.load_state_dict(saved)
        chunk, tokens = state["chunk"], state["tokens"]
    started = saved_at = time.monotonic()
    first_tokens = tokens
    pad = tokenizer.pad_token_id
    while tokens < config.tokens:
        rng = random.Random(f"{config.seed}-{chunk}")
        phase = next(phase for phase in config.phases if tokens < phase.until)
        samples = stream(generator, MIX[phase.mix], rng)
        units = []
        for _ in range(config.chunk):
            kind, made = next(samples)
            rows = tuple(encode(tokenizer, sample) for sample in made)
            if max(len(row.ids) for row in rows) <= 700:
                units.append((kind, rows))
        hits: dict[str, list[bool]] = {}
        losses = []
        for batch in batches(units, phase.batch_tokens, pad, rng):
            rate = rate_at(tokens, config)
            swap = rng.choice(config.swap_layers)
            loss, hit = loss_and_hits(model, batch, swap, phase.context_weight, fused=config.fused)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for tuner in tuners:
                for group in tuner.param_groups:
                    group["lr"] = rate
                tuner.step()
                tuner.zero_grad()
            tokens += batch.tokens
            losses.append(loss.item())
            for kind, right in zip(batch.kinds, hit.tolist(), strict=True):
                hits.setdefault(kind, []).append(right)
        chunk += 1
        now = time.monotonic()
        shares = " ".join(f"{k}={sum(v) / len(v):.2f}" for k, v in sorted(hits.items()))
        speed = (tokens - first_tokens) / (now - started)
        log.info("%.2fM loss %.3f lr %.1e %.0f tok/s %s", tokens / 1e6, sum(losses) / len(losses), rate, speed, shares)
        stopping = stop_after is not None and now - started > stop_after * 60
        if stopping or tokens >= config.tokens or now - saved_at > config.checkpoint_minutes * 60:
            saved_at = now
            _save_checkpoint(out, model, tuners, chunk, tokens)
            export(model, tokenizer, config, tokens, out / "model")
        if stopping:
            break
    return out / "model"


def _save_checkpoint(
    out: Path, model: LlamaForCausalLM, tuners: Sequence[torch.optim.Optimizer], chunk: int, tokens: int
) -> None:
    state = {
        "model": model.state_dict(),
        "tuners": [t.state_dict() for t in tuners],
        "chunk": chunk,
        "tokens": tokens,
    }
    torch.save(state, out / "checkpoint.tmp")
    os.replace(out / "checkpoint.tmp", out / "checkpoint.pt")


def export(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, config: TrainConfig, tokens: int, to: Path
) -> None:
    """Write the Hugging Face folder, weights in bfloat16 safetensors."""
    to.mkdir(parents=True, exist_ok=True)
    small = LlamaForCausalLM(model.config)
    small.load_state_dict(model.state_dict())
    small.generation_config = model.generation_config
    small.to(torch.bfloat16).save_pretrained(to)
    tokenizer.save_pretrained(to)
    training = {"config": asdict(config), "tokens": tokens, "parameters": sum(p.numel() for p in small.parameters())}
    (to / "training.json").write_text(json.dumps(training, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the pocket model.")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and the finished model")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")
    parser.add_argument("--begin-from", type=Path, metavar="DIR", help="a finished model's folder, to train it further")
    parser.add_argument("--tokens", type=int, help="how long to train")
    parser.add_argument("--learning-rate", type=float, help="the highest")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--eager", action="store_true", help="do without a C++ compiler, at half the speed")
    parser.add_argument("--stop-after", type=float, metavar="MINUTES")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    config = replace(TrainConfig(), fused=not args.eager)
    if args.begin_from is not None:
        weights = (args.begin_from / "model.safetensors").read_bytes()
        config = going_on(config, hashlib.sha256(weights).hexdigest())
    config = replace(
        config, tokens=args.tokens or config.tokens, learning_rate=args.learning_rate or config.learning_rate
    )
    print(train(config, args.out, begin_from=args.begin_from, resume=args.resume, stop_after=args.stop_after))


if __name__ == "__main__":
    main()
