-- What test_memory.c runs while allocations fail: setup makes what is needed, run allocates, check raises where what
-- must hold does not. A scenario ends in its result or in an error that speaks of memory. Of slow ones one allocation
-- in `every` is tried.
local moth = require "moth"
local core = require "moth.core"
local layers = moth.layers

local directory = os.tmpname()
os.remove(directory)
assert(os.execute("mkdir " .. directory))
local function file(name)
    return directory .. "/" .. name
end

moth.seed(1)
moth.threads(2)
local x, y = moth.rand(12, 6), moth.one_hot(moth.randint(0, 2, { 12 }), 3)

local function net()
    local model = moth.Sequential {
        layers.Dense { 4, activation = "relu", input_shape = { 6 } },
        layers.Dropout(0.3),
        layers.BatchNormalization {},
        layers.Dense { 3, activation = "softmax", kernel_regularizer = "l2" },
    }
    return model:compile { optimizer = "adam", loss = "categorical_crossentropy", metrics = { "accuracy" } }
end

local function bits(model)
    local parts = {}
    for _, w in ipairs(model:get_weights()) do
        for _, value in ipairs(w:flatten():totable()) do
            parts[#parts + 1] = ("%a"):format(value)
        end
    end
    return table.concat(parts, " ")
end

local function write(path, text)
    local handle = assert(io.open(path, "wb"))
    handle:write(text)
    handle:close()
end

local model, expected, kept, other

local scenarios = {}
local function scenario(made)
    scenarios[#scenarios + 1] = made
end

-- What a failed fit leaves can be trained on.
scenario { "fit",
    setup = function()
        model = net()
        model:fit(x, y, { batch_size = 5, verbose = 0 })
    end,
    run = function()
        model:fit(x, y, { batch_size = 5, epochs = 2, verbose = 0, validation_split = 0.25,
            callbacks = { moth.callbacks.EarlyStopping { patience = 3, restore_best_weights = true } } })
    end,
    check = function()
        local history = model:fit(x, y, { batch_size = 12, verbose = 0 })
        assert(history.history.loss[1] == history.history.loss[1], "the loss is nan")
    end,
}

scenario { "build and compile",
    run = function()
        local made = net()
        made:train_on_batch(x, y)
        return require("moth.summary").text(made)
    end,
}

-- Old file intact, or the new one complete.
scenario { "save",
    setup = function()
        model = net()
        model:fit(x, y, { verbose = 0 })
        model:save(file "model")
        expected = bits(model)
    end,
    run = function() model:save(file "model") end,
    check = function()
        assert(bits(moth.load_model(file "model")) == expected, "the file is another")
        assert(bits(model) == expected, "the model is another")
    end,
}

scenario { "load",
    setup = function() net():save(file "model") end,
    run = function() return moth.load_model(file "model"):predict(x) end,
}

-- All weights or none.
scenario { "load weights",
    setup = function()
        model, other = net(), net()
        kept, expected = bits(other), bits(model)
        model:save_weights(file "weights")
    end,
    run = function() other:load_weights(file "weights") end,
    check = function()
        local now = bits(other)
        assert(now == kept or now == expected, "some weights are loaded")
        other = net()
        kept = bits(other)
    end,
}

scenario { "predict",
    setup = function()
        model = net()
        expected = bits(model)
    end,
    run = function() return model:predict(x, { batch_size = 5 }) end,
    check = function() assert(bits(model) == expected, "the model is another") end,
}

scenario { "functional",
    run = function()
        local a, b = moth.Input { 6 }, moth.Input { 6 }
        local dense = layers.Dense(4)
        local made = moth.Model { { a, b }, layers.Concatenate {} { dense(a), dense(b) } }
        made({ x, x }):sum():backward()
        return moth.model_from_json(made:to_json())
    end,
}

scenario { "custom layer and loss",
    run = function()
        local made = moth.Sequential {
            moth.Layer { name = "Double", call = function(_, t) return t * 2 end, input_shape = { 6 } },
            layers.Dense(3),
        }
        made:compile { loss = function(t, p) return (t - p):square():mean(-1) end, optimizer = "sgd" }
        local left = 2
        made:fit(function()
            left = left - 1
            return left >= 0 and x or nil, y
        end, { verbose = 0 })
    end,
}

local step, w
scenario { "moth.compile",
    setup = function()
        w = moth.randn(6, 3):requires_grad_()
        step = function(u, v)
            return (u:matmul(w):tanh() - v):square():mean()
        end
    end,
    run = function()
        moth.compile(step, { optimizer = moth.optimizers.Adam { lr = 1e-3 } })(x, y)
        moth.compile(step)(x, y):backward()
        w:zero_grad()
    end,
}

scenario { "picture", every = 15,
    setup = function()
        local picture = moth.full({ 60, 60 }, 255, { dtype = "uint8" })
        picture[{ { 15, 45 }, { 28, 32 } }] = 0
        moth.image.save(file "one.png", picture)
    end,
    run = function()
        local digits = moth.image.digits(moth.image.load(file "one.png", { orient = true }))
        return moth.image.resize(digits[1].image, 5, 5)
    end,
}

scenario { "csv",
    setup = function() write(file "table.csv", "a,b,kind\n1,2,x\n3,4,y\n5,,x\n") end,
    run = function() return moth.datasets.csv(file "table.csv", { target = "kind", missing = 0 }) end,
}

scenario { "tensors",
    run = function()
        moth.save_npy(file "t.npy", x)
        moth.save_tensors(file "t", { x = x, y = y })
        return moth.load_npy(file "t.npy"), moth.load_tensors(file "t")
    end,
}

scenario { "json",
    run = function()
        local json = require "moth.json"
        return json.decode(json.encode { a = json.list { 1, 2, "x" }, b = { c = "\n" } })
    end,
}

scenario { "plot", every = 15,
    run = function() moth.plot { x = { 1, 2, 3 }, y = { 3, 2, 1 }, title = "t", file = file "p.svg" } end,
}

scenario { "specs",
    run = function()
        return moth.losses.huber { delta = 2 }, moth.regularizers.l1_l2 { l1 = 1 }, moth.initializers.constant { 3 }
    end,
}

-- The engine speaks in the middle of its work.
scenario { "log",
    setup = function() core.set_log(function(line) return #line end) end,
    run = function()
        local made = moth.Sequential { layers.Dense { 2, input_shape = { 3 } } }
        made:compile { loss = "mse" }
        made:fit(moth.ones(4, 3, { dtype = "uint8" }), moth.ones(4, 2), { verbose = 0 })
    end,
}

-- Removes the files; whatever failed, no temporary is among them.
function scenarios.finish()
    local others = {}
    for _, entry in ipairs(core.list_directory(directory)) do
        os.remove(file(entry))
        if not (" model weights one.png table.csv t t.npy p.svg "):find(" " .. entry .. " ", 1, true) then
            others[#others + 1] = entry
        end
    end
    os.remove(directory)
    assert(#others == 0, table.concat(others, " "))
end

return scenarios
