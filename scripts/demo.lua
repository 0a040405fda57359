--- The demonstration: trains the reference MLP on MNIST, evaluates it, says what it sees in the sample pictures, and
-- trains the CNN that `moth predict` uses.
local moth = require "moth"
local here = arg[0]:match("^.*/") or ""
local root = here .. "../"
local common = dofile(here .. "common.lua")
local options = common.options(20)

local found, train, test = pcall(moth.datasets.mnist)
if not found then
    io.stderr:write(("MNIST is not to be had (%s): the demonstration uses synthetic digits\n"):format(train))
    train, test = moth.datasets.digits { n = 60000, seed = 1 }, moth.datasets.digits { n = 10000, seed = 2 }
end
train, test = common.part(train, options.quick), common.part(test, options.quick)

local layers = moth.layers
local model = moth.Sequential {
    layers.Flatten { input_shape = { 28, 28 } },
    layers.Dense { 128, activation = "relu" },
    layers.Dropout(0.3),
    layers.Dense { 128, activation = "relu" },
    layers.Dropout(0.3),
    layers.Dense { 10, activation = "softmax" },
}
model:summary()
model:compile { optimizer = "adam", loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
model:fit(train.x, train.y, {
    batch_size = 128, epochs = options.epochs, validation_split = 0.2, verbose = options.verbose,
})
local score = model:evaluate(test.x, test.y, { batch_size = 128 })
print(("test loss     %.4f"):format(score.loss))
print(("test accuracy %.4f"):format(score.accuracy))

-- The name of a sample picture ends with the digit that it shows.
local pictures = {}
for digit = 0, 9 do
    pictures[#pictures + 1] = { ("%sdata/digits/%d.png"):format(root, digit), digit }
end
for _, digit in ipairs { 2, 3, 5, 7 } do
    pictures[#pictures + 1] = { ("%sdata/digits/photo_%d.jpg"):format(root, digit), digit }
end

print("\nSample pictures")
local right = 0
for _, picture in ipairs(pictures) do
    local path, digit = picture[1], picture[2]
    local seen, probability = model:predict_digit(path)
    right = right + (seen == digit and 1 or 0)
    print(("%-14s %d  %.3f%s"):format(path:match "[^/]+$", seen, probability, seen == digit and "" or "  wrong"))
end
print(("%d of %d sample pictures right\n"):format(right, #pictures))

dofile(here .. "model.lua")
