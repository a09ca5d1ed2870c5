"""The commands that work on sentences: `acceltran run`, `compile`, `disassemble`."""

from pathlib import Path
from typing import Annotated

import typer

from ..late import Late
from ..options import (
    CALIBRATION,
    JOBS,
    LAYERS,
    LAYOUT,
    LIMITS,
    MODEL,
    ORDER,
    OWN,
    PRUNING,
    SENTENCES,
    SKIP,
    TASK,
    TRACE,
    TRUNCATE,
    config,
    json,
    takes,
)

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

run_command = Late("run", "run:run_command", "sim")
saved_run_command = Late("run --program", "saved_run:saved_run_command", "sim")
refuse_without_effect = Late("run --program", "saved_run:refuse_without_effect", "sim")
compile_command = Late("compile", "compile:compile_command", "model")
disassemble_command = Late("disassemble", "disassemble:disassemble_command", "model")

_INPUT = (config(), MODEL, TASK, SENTENCES)
_BASE = "Address of main memory at which the image lies, a multiple of 4096 (default: 0)."
_HOW = (TRUNCATE, LAYERS, PRUNING)


@app.command()
@takes(*_INPUT, OWN, JOBS, *_HOW, SKIP, ORDER, TRACE, CALIBRATION, json(), LAYOUT, LIMITS)
def run(
    context: typer.Context,
    program: Annotated[Path | None, typer.Option(help="Run the program in this folder, which acceltran compile wrote.")] = None,
    length: Annotated[int | None, typer.Option(min=2, help="Tokens to pad to (default: the longest sentence).")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Sentences in one program (default: as many as fit).")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-O", help="Write the numbers behind the answers as arrays to "
                                                "this .npz or .safetensors file, see above.")] = None,
    base: Annotated[str | None, typer.Option(help=_BASE)] = None,
    waves: Annotated[Path | None, typer.Option(help="Record all signals in this FST file; slow.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page to look at the run to this .html file, see above.")] = None,
    clock: Annotated[float | None, typer.Option(min=0.001, help="Clock in MHz, at which the time of the cycles is given, too.")
                     ] = None,
    latency: Annotated[int, typer.Option(min=1, max=1000, help="Cycles from a read address to the first data of main "
                                                               "memory.")] = 40,
    **shared,
):
    """Run sentences on the simulated RTL and compare every intermediate tensor with the golden model.

    What is answered depends on the task of the model, which its folder tells, or --task: a label, several, or a value for a
    text or a pair of texts; a label for each token; the span of a text that answers a question; the likeliest tokens in place
    of a mask; a vector; or the last hidden state. A line says what of it is computed on the host.

    The golden model itself is compared with the float model, which runs with the same pruning. If the outputs are too far
    apart, or too many values of a tensor saturate or vanish, a warning names the tensor and says what helps.

    If the sentences do not fit in one program, several programs run, --jobs at a time. Sentences of similar length share a
    program; answers come in the order of the file, a window of 256 sentences at a time. Cycles are given for each batch and in
    total. Sentences of a file that are longer than the model takes (or than --length) are cut, and the report says how many. A
    line of a file that cannot be used is left out, and reported with its number; so is a batch whose simulation fails.

    Arrays of --output have an element for each sentence: lines, lengths (tokens), token_ids [sentences, tokens], and logits
    [sentences, labels], or [sentences, tokens, labels]; embeddings [sentences, width]; or hidden_states [sentences, tokens,
    hidden] and, if there is one, pooler [sentences, hidden]. Behind the tokens of a sentence there are zeros. Of masks there
    are logits [masks, vocabulary], mask_sentences and mask_positions [masks].

    --report writes one HTML file that needs nothing else, for any browser: whether all was equal, the answers, where the cycles
    went, a timeline of engines and units that can be moved and zoomed, zeros and the multiplications that they leave, and the
    golden model against the float model. Of several batches everything is added up, and the timeline is that of the first one
    that ends; --trace and --waves take a single batch only. Of a saved program the zeros of single tensors are not known.

    With --program, a compiled program runs on the configuration that it was compiled for, and the results are compared with
    what compile saved beside it: outputs integer by integer, other tensors by their hashes. This needs no model. Of the
    options only --json, --output, --report, --trace, --waves, --clock, --latency, --base and --length are then allowed. Of
    programs of several buckets all run, or with --length the one for a sentence of so many tokens.

    Exit codes: 0 all is well; 1 the RTL and the golden model differ, a simulation failed, or --strict found a limit passed; 2
    bad input, also if only some lines of a file were left out.

    Example: acceltran run --text "a warm , funny film" --tau 0.05 --json report.json

    Example: acceltran run --text "a warm , funny film" --report run.html

    Example: acceltran run --model MNLI --text "A man sleeps." --text-pair "Nobody is awake."

    Example: acceltran run --model NER --text "Anna lives in Berlin"

    Example: acceltran run --model SQUAD --text "Who came?" --text-pair "Anna came late."

    Example: acceltran run --model BERT --task fill-mask --text "Paris is the [MASK] of France."

    Example: acceltran run --model MINILM --file sentences.txt --pooling mean -O vectors.npz

    Example: acceltran run --model BERT --task hidden-states --text "any text" -O states.safetensors

    Example: acceltran run --file reviews.csv --text-column review --jobs 4 --json reviews.json
    """
    if program:
        refuse_without_effect(context)
        return saved_run_command(program, base=base, length=length, json_path=shared["json_path"], output=output,
                                 trace=shared["trace"], waves=waves, latency=latency, report=report, clock=clock)
    return run_command(length=length, batch=batch, base=base, output=output, waves=waves, latency=latency, report=report,
                       clock=clock, **shared)


@app.command()
def disassemble(
    program: Annotated[Path, typer.Argument(help="A program.bin, or the folder that acceltran compile wrote.")],
):
    """Print the instructions of a compiled program, one line each.

    Example: acceltran compile --text "a warm , funny film" -o build/program && acceltran disassemble build/program
    """
    disassemble_command(program)


@app.command("compile")
@takes(OWN, *_INPUT, *_HOW, ORDER, CALIBRATION, json("the manifest"), LAYOUT, LIMITS)
def compile_(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for image.bin, manifest.json, model.h and the "
                                         "programs.")],
    length: Annotated[int | None, typer.Option(min=2, help="Tokens to pad to (default: the longest sentence).")] = None,
    buckets: Annotated[str | None, typer.Option(
        help="One program for each of these numbers of tokens, such as 16,32,64, in one image: each runs any sentence up to "
        "its length.")] = None,
    base: Annotated[str | None, typer.Option(help=_BASE)] = None,
    **shared,
):
    """Compile sentences to a program and its main-memory image, and say how far its results are from the float model's.

    A program holds one batch of sentences. If there are too many, they are refused, and the message says how many fit. It is
    compiled for the task of the model, which its folder tells, or --task, and acceltran run --program gives the same answers
    without the model; only layers behind the pooling of an embedding are not in it, and the hidden states are then given.

    With --buckets, the programs share one image, which holds weights and tables once. A driver writes the token numbers and the
    length of a sentence to it, and starts the program of the shortest bucket that the sentence fits in; see
    docs/programming.md. They begin with the sentence of --text, or a built-in one, cut to the bucket.

    Example: acceltran compile --text "a warm , funny film" -o build/program

    Example: acceltran compile --buckets 16,32,64 --base 0x80000000 -o build/program

    Example: acceltran compile --model BERT --task fill-mask --text "Paris is the [MASK] of France." -o build/program
    """
    return compile_command(output=output, length=length, buckets=buckets, base=base, **shared)
