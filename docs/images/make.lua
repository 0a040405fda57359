--- Makes the pictures of the README: moth docs/images/make.lua (needs MNIST and gnuplot).
local moth = require "moth"
local layers = moth.layers
local here = arg[0]:match("^.*/") or ""

moth.seed(1)
local train, test = moth.datasets.mnist()
local model = moth.Sequential {
    layers.Flatten { input_shape = { 28, 28 } },
    layers.Dense { 128, activation = "relu" },
    layers.Dropout(0.3),
    layers.Dense { 10, activation = "softmax" },
}
model:compile { optimizer = "adam", loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
local history = model:fit(train.x, train.y, {
    batch_size = 128, epochs = 5, validation_split = 0.2, verbose = 0,
})
history:plot(here .. "history.svg")
model:compile { loss = "sparse_categorical_crossentropy", metrics = { "confusion_matrix" } }
model:evaluate(test.x, test.y).confusion_matrix:plot(here .. "confusion.svg")
moth.plot.images({ images = test.x:slice(1, 1, 12), file = here .. "digits.png" })
