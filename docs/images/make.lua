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
model:evaluate(test.x, test.y).confusion_matrix:plot(here .. "confusion.svg", { title = "MNIST's test set" })

-- Some that it knows, and as many that it does not.
local half, right, mistakes = 12, {}, {}
local predicted = model:predict_classes(test.x)
for i = 1, #test.y do
    local list = predicted[i] == test.y[i] and right or mistakes
    list[#list + 1] = i
end
local positions = table.move(mistakes, 1, half, half + 1, table.move(right, 1, half, 1, {}))
local titles, marked = {}, {}
for i, position in ipairs(positions) do
    titles[i] = tostring(predicted[position])
    marked[i] = i > half
end
moth.plot.images { images = test.x:index(1, positions), titles = titles, marked = marked, columns = 8,
    file = here .. "digits.png", title = "predicted; mistakes in orange" }
