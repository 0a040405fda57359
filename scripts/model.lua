--- Trains the small CNN that `moth predict` and predict_digit use, and saves it where they look for it.
-- Two convolutions with batch normalization; Adam on one cycle; every epoch sees the digits shifted, turned and
-- bent a little, as people write them. At least 0.99 on MNIST's test set, in at most 90 s on two cores.
local moth = require "moth"
local files = require "moth.files"

local common = dofile((arg[0]:match "^.*/" or "") .. "common.lua")
local options = common.options(5)
local EPOCHS, BATCH = options.epochs, 128

local function make()
    local layers = moth.layers
    return moth.Sequential {
        layers.Reshape { 28, 28, 1, input_shape = { 28, 28 } },
        layers.Conv2D { 32, 3, use_bias = false },
        layers.BatchNormalization {},
        layers.Activation "relu",
        layers.MaxPooling2D {},
        layers.Conv2D { 64, 3, use_bias = false },
        layers.BatchNormalization {},
        layers.Activation "relu",
        layers.MaxPooling2D {},
        layers.Flatten {},
        layers.Dropout(0.3),
        layers.Dense { 10, activation = "softmax" },
    }
end

-- Whether it can be saved is better known before it is trained than after.
local path = require("moth.digit_model").path()
files.make_parent(path)
files.write(path .. ".new", "")
os.remove(path .. ".new")

local found, train, test = pcall(moth.datasets.mnist)
if not found then
    io.stderr:write(("MNIST is not to be had (%s): the model learns from synthetic digits and will know handwriting "
        .. "less well\n"):format(train))
    train, test = moth.datasets.digits { n = 60000, seed = 1 }, moth.datasets.digits { n = 10000, seed = 2 }
end
train, test = common.part(train, options.quick), common.part(test, options.quick)

local model = make()
local steps = EPOCHS * ((#train.x + BATCH - 1) // BATCH)
model:compile {
    optimizer = moth.optimizers.Adam { learning_rate = moth.schedules.OneCycle { 4e-3, steps } },
    loss = "sparse_categorical_crossentropy", metrics = { "accuracy" },
}
local started = os.time()
model:fit(train.x, train.y, {
    epochs = EPOCHS, batch_size = BATCH, verbose = options.verbose,
    augment = moth.image.augment { shift = 1.5, rotate = 8, zoom = 0.1, elastic = 1 },
})
local score = model:evaluate(test.x, test.y, { batch_size = 500 })
model:save(path)
print(("CNN: test accuracy %.4f after %d s, saved to %s"):format(score.accuracy, os.time() - started, path))
