"""The peer of plan_mlp.c: the same training step in PyTorch. Usage: mlp_torch.py THREADS EPOCHS

Fair on Debian only with LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu/openblas-openmp: over the pthread OpenBLAS two
pools of threads fight for the processors.
"""
import sys
import time

import torch

threads, epochs = int(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(threads)
torch.manual_seed(1)
samples, batch = 48000, 128
PART = 15  # steps
x = (torch.rand(samples, 784) < 0.2).float() * torch.rand(samples, 784)
y = torch.arange(samples) % 10
model = torch.nn.Sequential(
    torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
loss_of = torch.nn.CrossEntropyLoss()


def clocks():
    return time.perf_counter(), time.process_time()


def epoch(best):
    total = torch.zeros(())
    order = torch.randperm(samples)
    spent, last = [0.0, 0.0], clocks()
    for step in range(samples // batch):
        ids = order[step * batch : (step + 1) * batch]
        optimizer.zero_grad()
        loss = loss_of(model(x[ids]), y[ids])
        loss.backward()
        optimizer.step()
        total += loss.detach()
        if (step + 1) % PART == 0:
            current = clocks()
            for k in range(2):
                part = current[k] - last[k]
                spent[k] += part
                best[k] = min(best[k], part)
            last = current
    return spent, float(total) / (samples // batch)


best = [1e9, 1e9]
epoch(best)
seconds, cpu = [], []
for _ in range(epochs):
    spent, loss = epoch(best)
    seconds.append(spent[0])
    cpu.append(spent[1])
seconds.sort()
cpu.sort()
middle, parts = epochs // 2, samples / batch / PART
print(
    f"PyTorch:   {threads} threads, s/epoch: {seconds[middle]:.4f} (best part {parts * best[0]:.4f}), "
    f"of processors {cpu[middle]:.4f} ({parts * best[1]:.4f}); loss {loss:.6f}"
)
