"""One measurement of PyTorch, the twin of moth_peer.lua: torch_peer.py WORKLOAD STEPS THREADS; prints seconds.

Tuned: channels-last for the CNN; bench/run gives it OpenBLAS with OpenMP (over the pthread one two pools of threads
fight for the processors) and keeps malloc from returning memory after each step.
"""

import sys
import time

import torch
from torch import nn

workload, steps, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
BATCH = 128
torch.set_num_threads(threads)
torch.manual_seed(1)


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.dense = nn.LSTM(28, 128, batch_first=True), nn.Linear(128, 10)

    def forward(self, x):
        return self.dense(self.lstm(x)[0][:, -1])


if workload == "mlp":
    shape = (784,)
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
elif workload == "cnn":
    shape = (1, 28, 28)
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10),
    ).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters())
else:
    shape = (28, 28)
    model = Lstm()
    optimizer = torch.optim.Adam(model.parameters())


def data(count):
    x = torch.rand(count, *shape)
    if workload == "cnn":
        x = x.to(memory_format=torch.channels_last)
    return x, torch.arange(count) % 10


x, y = data(steps * BATCH)
validation = data(steps * BATCH // 4) if workload == "mlp" else None
loss_of = nn.CrossEntropyLoss()


def epoch(count):
    order = torch.randperm(len(x))
    model.train()
    total = torch.zeros(())
    for step in range(count):
        ids = order[step * BATCH : (step + 1) * BATCH]
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model(x[ids]), y[ids])
        loss.backward()
        optimizer.step()
        total += loss.detach()
    if validation:
        model.eval()
        with torch.no_grad():
            for first in range(0, len(validation[0]), BATCH):
                total += loss_of(model(validation[0][first : first + BATCH]), validation[1][first : first + BATCH])
    return float(total)


epoch(min(steps, 5))
started = time.perf_counter()
epoch(steps)
print(f"{time.perf_counter() - started:.4f}")
