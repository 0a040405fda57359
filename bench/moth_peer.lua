--- One measurement of moth: bench/moth_peer.lua WORKLOAD STEPS; the number of threads comes from MOTH_NUM_THREADS.
-- Prints seconds: an epoch of the MLP with its validation, or STEPS steps of the CNN or the LSTM. The first pass,
-- in which the plan is made, is not counted. Data are random: speed does not depend on them.
local moth = require "moth"
local L = moth.layers

local workload, steps = arg[1], math.tointeger(tonumber(arg[2]))
local BATCH = 128
moth.seed(1)

local models = {
    mlp = function()
        return moth.Sequential {
            L.Dense { 128, activation = "relu", input_shape = { 784 } }, L.Dense { 128, activation = "relu" },
            L.Dense { 10, activation = "softmax" },
        }, { 784 }, "sgd"
    end,
    cnn = function()
        return moth.Sequential {
            L.Conv2D { 32, 3, activation = "relu", input_shape = { 28, 28, 1 } }, L.MaxPooling2D {},
            L.Conv2D { 64, 3, activation = "relu" }, L.MaxPooling2D {}, L.Flatten {}, L.Dropout(0.5),
            L.Dense { 10, activation = "softmax" },
        }, { 28, 28, 1 }, "adam"
    end,
    lstm = function()
        return moth.Sequential { L.LSTM { 128, input_shape = { 28, 28 } }, L.Dense { 10, activation = "softmax" } },
            { 28, 28 }, "adam"
    end,
}

local model, shape, optimizer = models[workload]()
local n = steps * BATCH
local function data(count)
    return moth.rand(count, table.unpack(shape)), moth.randint(0, 9, { count })
end
local x, y = data(n)
model:compile { optimizer = optimizer, loss = "sparse_categorical_crossentropy" }
local args = { batch_size = BATCH, epochs = 1, verbose = 0 }
if workload == "mlp" then
    args.validation_data = { data(n // 4) }
end

local function now()
    local pipe = assert(io.popen "date +%s%N")
    local value = tonumber(pipe:read "a")
    pipe:close()
    return value / 1e9
end

args.steps_per_epoch = math.min(steps, 5)
model:fit(x, y, args)
args.steps_per_epoch = nil
local started = now()
model:fit(x, y, args)
print(("%.4f"):format(now() - started))
