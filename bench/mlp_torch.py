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
x = (torch.rand(samples, 784) < 0.2).float() * torch.rand(samples, 784)
y = torch.arange(samples) % 10
model = torch.nn.Sequential(
    torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
loss_of = torch.nn.CrossEntropyLoss()


def epoch():
    total = torch.zeros(())
    order = torch.randperm(samples)
    for at in range(0, samples, batch):
        ids = order[at : at + batch]
        optimizer.zero_grad()
        loss = loss_of(model(x[ids]), y[ids])
        loss.backward()
        optimizer.step()
        total += loss.detach()
    return float(total) / (samples / batch)


loss = epoch()
seconds, cpu = [], []
for _ in range(epochs):
    start, cpu_start = time.perf_counter(), time.process_time()
    loss = epoch()
    seconds.append(time.perf_counter() - start)
    cpu.append(time.process_time() - cpu_start)
seconds.sort()
cpu.sort()
middle = len(seconds) // 2
print(
    f"PyTorch:   {threads} threads, best {seconds[0]:.4f} s/epoch, median {seconds[middle]:.4f}; "
    f"processor time best {cpu[0]:.4f}, median {cpu[middle]:.4f}; loss {loss:.6f}"
)
