-- What test_embed.c does in C, done in Lua: run by it with a folder that holds x.npy, y.npy and t.npy and the files
-- that C saved; prints the histories and leaves its own files. Every bit must be the same.
local moth = require "moth"
local layers = moth.layers

local folder = arg[1]
local function file(name)
    return folder .. "/" .. name
end

-- One line for each value: run, epoch, name, bits.
local function teller(run)
    return { moth.callbacks.LambdaCallback {
        on_epoch_end = function(epoch, logs)
            local names = {}
            for name in pairs(logs) do
                names[#names + 1] = name
            end
            table.sort(names)
            for _, name in ipairs(names) do
                print(("%s %d %s %a"):format(run, epoch, name, logs[name]))
            end
        end,
    } }
end

local x, y, t = moth.load_npy(file "x.npy"), moth.load_npy(file "y.npy"), moth.load_npy(file "t.npy")

moth.seed(7)
local model = moth.Sequential {
    layers.Dense { 16, activation = "relu", input_shape = { 8 }, kernel_regularizer = { class = "l2", l2 = 1e-3 } },
    layers.BatchNormalization {},
    layers.Dropout(0.25),
    layers.Dense { 3, activation = "softmax" },
}
model:compile {
    optimizer = moth.optimizers.Adam { lr = 0.01 }, loss = "sparse_categorical_crossentropy", metrics = { "accuracy" },
}
model:fit(x, y, {
    batch_size = 32, epochs = 3, validation_split = 0.25, class_weight = { [0] = 1, [1] = 2.5 }, verbose = 0,
    callbacks = teller "first",
})
model:save(file "first_lua.safetensors")

-- What C saved goes on here.
local again = moth.load_model(file "first_c.safetensors")
again:fit(x, y, {
    batch_size = 32, epochs = 5, initial_epoch = 3, steps_per_epoch = 4, validation_data = { x, y }, verbose = 0,
    callbacks = teller "again",
})
again:save(file "again_lua.safetensors")

-- A graph with two outputs, from the JSON that C reads too.
local text = assert(io.open(file "graph.json")):read "a"
local graph = moth.model_from_json(text)
graph:compile { optimizer = "sgd", loss = { kind = "sparse_categorical_crossentropy", value = "mse" } }
graph:fit(x, { kind = y, value = t }, {
    batch_size = 50, epochs = 2, validation_split = 0.5, validation_freq = 2, shuffle = false, verbose = 0,
    callbacks = teller "graph",
})
graph:save(file "graph_lua.safetensors")
