"""Train RecBole's SASRec by RecBole's own trainer, a few batches whenever asked; runs in RecBole's environment.

    python runner.py FOLDER CONFIG

FOLDER holds `plays/plays.inter` and `plays/plays.item`, CONFIG is a JSON object of RecBole's settings. The first
line answered says what was read; then every line of input, a number of batches, is answered by one line of
output: what was trained on, and the processor seconds it took. Nothing of AMRS is imported.
"""

import json
import os
import sys
import time
from itertools import islice
from pathlib import Path

import torch

torch.set_num_threads(1)


class Some:
    """The next batches of RecBole's loader, as many as wanted: whole epochs, one after another."""

    def __init__(self, loader):
        self.loader = loader
        self.shuffle = loader.shuffle
        self.wanted = 0
        self.seen = []
        self._going = iter(())

    def __len__(self):
        return self.wanted

    def __iter__(self):
        for batch in islice(self._batches(), self.wanted):
            self.seen.append(
                (len(batch["item_length"]), batch["item_id_list"].numel(), batch["item_length"].sum())
            )
            yield batch

    def _batches(self):
        while True:
            try:
                yield next(self._going)
            except StopIteration:
                self._going = iter(self.loader)


def main(folder: str, given: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # RecBole talks: to stderr with it
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    sys.argv = sys.argv[:1]  # RecBole reads the command line itself
    settings = {**json.loads(Path(given).read_text()), "data_path": folder}
    config = Config(model="SASRec", dataset="plays", config_dict=settings)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    loader, _, _ = data_preparation(config, dataset)
    model = get_model(config["model"])(config, loader.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    torch.set_num_threads(1)

    def answer(**said) -> None:
        print(json.dumps(said), file=answers, flush=True)

    answer(
        sequences=len(loader.dataset),
        songs=int(loader.dataset.item_num) - 1,  # 0 is padding
        listeners=int(loader.dataset.user_num) - 1,
        weights=sum(each.numel() for each in model.parameters()),
        batches_per_epoch=len(loader),
        threads=torch.get_num_threads(),
    )
    some = Some(loader)
    for line in sys.stdin:
        some.wanted, some.seen = int(line), []
        began = time.process_time()
        loss = trainer._train_epoch(some, 0, show_progress=False)
        seconds = time.process_time() - began
        sequences, positions, real = (int(sum(column)) for column in zip(*some.seen, strict=True))
        answer(
            seconds=seconds,
            supervised=sequences,
            positions=positions,
            real_positions=real,
            loss=loss / len(some.seen),
        )


if __name__ == "__main__":
    main(*sys.argv[1:3])
