--- moth's half of `make parity`: parity.lua FOLDER. Writes there, as npy, the batches, the initial weights of the MLP
-- and, for each optimizer, the losses of 100 steps. The digits are MNIST's where it is at hand, else synthetic.
local moth = require "moth"
local folder = assert(arg[1], "usage: moth parity.lua FOLDER")
local STEPS, BATCH = 100, 128
local layers = moth.layers

moth.seed(1671)
local found, set = pcall(moth.datasets.mnist)
if not found then
    set = moth.datasets.digits { n = STEPS * BATCH, seed = 1 }
end
local n = STEPS * BATCH
local order = moth.permutation(#set.x):slice(1, 1, n)
local bytes, ids = set.x:index(1, order):reshape(n, 784), set.y:index(1, order)
local x, y = bytes:to("float32") / 255, moth.one_hot(ids, 10)

local function save(name, t)
    moth.save_npy(("%s/%s.npy"):format(folder, name), t)
end

local model = moth.Sequential {
    layers.Dense { 128, activation = "relu", input_shape = { 784 } }, layers.Dense { 128, activation = "relu" },
    layers.Dense { 10, activation = "softmax" },
}
local initial = model:get_weights()
save("x", x)
save("y", y)
for i, w in ipairs(initial) do
    save("w" .. i, w)
end
save("synthetic", moth.tensor { found and 0 or 1 })
for _, name in ipairs { "SGD", "RMSprop", "Adam" } do
    model:set_weights(initial)
    model:compile { optimizer = moth.optimizers[name] {}, loss = "categorical_crossentropy" }
    local losses = {}
    for step = 1, STEPS do
        local first, last = (step - 1) * BATCH + 1, step * BATCH
        losses[step] = model:train_on_batch(x:slice(1, first, last), y:slice(1, first, last)).loss
    end
    save(name, moth.tensor(losses))
end
