--- The lines of `make accept`: { id, what, wanted, seeds, long (takes minutes), run(run) -> got, verdict }.
-- A verdict of nil means that the line cannot be run here, and `got` says why.
local lines = {}

local function add(line)
    lines[#lines + 1] = line
end

-- ---- accuracy on MNIST ----------------------------------------------------------------------------------------------

-- The accuracies that an experiment printed, in order.
local function accuracies(text)
    local list = {}
    for value in text:gmatch "Test accuracy ([%d.]+)" do
        list[#list + 1] = tonumber(value)
    end
    return list
end

local function accuracy(id, what, script, least, seeds, position)
    add {
        id = "accuracy-" .. id, what = what, wanted = ("≥ %.3f"):format(least), long = true,
        seeds = table.concat(seeds, ", "),
        run = function(run)
            local found = {}
            for i, seed in ipairs(seeds) do
                found[i] = assert(accuracies(run.experiment(script, seed))[position or 1], "no accuracy was printed")
            end
            local shown = {}
            for i, value in ipairs(found) do
                shown[i] = ("%.4f"):format(value)
            end
            table.sort(found)
            local median = found[(#found + 1) // 2]
            local all = #found > 1 and (" (%s)"):format(table.concat(shown, ", ")) or ""
            return ("%.4f%s"):format(median, all), median >= least
        end,
    }
end

local THREE, ONE = { 1, 2, 3 }, { 1 }
accuracy("single", "single layer, SGD, 200 epochs", "single_layer", 0.920, THREE)
accuracy("mlp", "MLP 128-128, SGD, 20 epochs", "mlp", 0.944, THREE)
accuracy("dropout", "MLP with dropout 0.3, SGD, 20 epochs", "dropout", 0.940, THREE)
accuracy("rmsprop", "RMSprop from fresh weights, 20 epochs", "optimizers", 0.974, THREE, 1)
accuracy("adam", "Adam from fresh weights, 20 epochs", "optimizers", 0.974, THREE, 2)
accuracy("rmsprop-warm", "RMSprop after 20 epochs of SGD", "optimizers", 0.976, THREE, 4)
accuracy("adam-warm", "Adam after SGD and RMSprop", "optimizers", 0.977, THREE, 5)
accuracy("lstm", "LSTM over rows, 128 units, Adam, 5 epochs (one seed)", "lstm", 0.975, ONE)
accuracy("cnn", "CNN 32-64, dropout 0.5, Adam, 12 epochs (one seed)", "cnn", 0.990, ONE)

add {
    id = "parameters", what = "parameters of the single layer and of the MLP", wanted = "7850 and 118282",
    run = function(run)
        local got = run.lua [[
            local moth = require "moth"
            local D = moth.layers.Dense
            local counts = {}
            for i, model in ipairs {
                moth.Sequential { D { 10, input_shape = { 784 } } },
                moth.Sequential { D { 128, input_shape = { 784 } }, D { 128 }, D { 10 } },
            } do
                counts[i] = 0
                for _, w in ipairs(model:get_weights()) do counts[i] = counts[i] + #w:flatten() end
            end
            print(counts[1] .. " and " .. counts[2])]]
        got = got:gsub("\n", "")
        return got, got == "7850 and 118282"
    end,
}

-- ---- the same seed, the same bits -----------------------------------------------------------------------------------

-- Trains for a few steps of full size and prints a digest of every bit of the weights and of the history.
local BITS = [[
local moth = require "moth"
local L, kind, n = moth.layers, %q, %d
local set = moth.datasets.digits { n = n, seed = 3 }
moth.seed(1671)
local function pool(bn)
    return bn and { L.BatchNormalization {}, L.Activation "relu", L.MaxPooling2D {} }
        or { L.Activation "relu", L.MaxPooling2D {} }
end
local function cnn(bn)
    local m = moth.Sequential { L.Reshape { 28, 28, 1, input_shape = { 28, 28 } }, L.Conv2D { 32, 3 } }
    for _, l in ipairs(pool(bn)) do m:add(l) end
    m:add(L.Conv2D { 64, 3 })
    for _, l in ipairs(pool(bn)) do m:add(l) end
    for _, l in ipairs { L.Flatten {}, L.Dropout(0.5), L.Dense { 10, activation = "softmax" } } do m:add(l) end
    return m
end
local make = {
    mlp = function()
        return moth.Sequential { L.Flatten { input_shape = { 28, 28 } }, L.Dense { 128, activation = "relu" },
            L.Dropout(0.3), L.Dense { 128, activation = "relu" }, L.Dense { 10, activation = "softmax" } }
    end,
    cnn = function() return cnn(false) end,
    cnn_bn = function() return cnn(true) end,
    lstm = function()
        return moth.Sequential { L.LSTM { 128, input_shape = { 28, 28 } }, L.Dense { 10, activation = "softmax" } }
    end,
}
local m = make[kind]()
m:compile { optimizer = "adam", loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
local function fit(from, to)
    return m:fit(set.x, set.y, { batch_size = 128, initial_epoch = from, epochs = to, validation_split = 0.2,
        verbose = 0 }).history
end
local parts = {}
local function note(h)
    for _, name in ipairs { "loss", "accuracy", "val_loss" } do
        for _, v in ipairs(h[name]) do parts[#parts + 1] = ("%%a"):format(v) end
    end
end
local resumed = %s
if resumed then
    local h1 = fit(0, 1)
    local path = os.tmpname()
    m:save(path)
    m = moth.load_model(path)
    os.remove(path)
    local h2 = fit(1, 2)
    for _, name in ipairs { "loss", "accuracy", "val_loss" } do h1[name][2] = h2[name][1] end
    note(h1)
else
    note(fit(0, 2))
end
for _, w in ipairs(m:get_weights()) do
    for _, v in ipairs(w:flatten():totable()) do parts[#parts + 1] = ("%%a"):format(v) end
end
local text, a, b = table.concat(parts, " "), 1, 0
for i = 1, #text do
    a = (a + text:byte(i)) %% 65521
    b = (b + a) %% 65521
end
local tasks = 0
for _ in io.popen("ls /proc/$PPID/task"):lines() do tasks = tasks + 1 end
print(("%%08x %%d %%d"):format(b * 65536 + a, #text, tasks))
]]

-- The digest, and how many threads the process had at its end.
local function digest(run, kind, samples, threads, environment, resumed)
    local text = run.lua(BITS:format(kind, samples, tostring(resumed or false)),
        ("MOTH_NUM_THREADS=%d %s"):format(threads, environment or ""))
    local sum, tasks = text:match "(%x+ %d+) (%d+)\n$" -- behind what went to standard error
    assert(sum, "no digest: " .. text)
    return sum, tonumber(tasks)
end

local NAMES = { mlp = "MLP", cnn = "CNN", cnn_bn = "CNN with batch normalization", lstm = "LSTM" }

for _, kind in ipairs { "mlp", "cnn", "cnn_bn", "lstm" } do
    local samples = kind == "mlp" and 5000 or 500
    add {
        id = "bits-threads-" .. kind, what = ("%s: weights and history with 1, 1, 2 and 3 threads"):format(NAMES[kind]),
        wanted = "the same bits", seeds = "1671",
        run = function(run)
            local want = digest(run, kind, samples, 1)
            for _, threads in ipairs { 1, 2, 3 } do
                if digest(run, kind, samples, threads) ~= want then
                    return ("other bits with %d threads"):format(threads), false
                end
            end
            return "the same, " .. want:match "%x+", true
        end,
    }
end

for _, kind in ipairs { "mlp", "cnn_bn", "lstm" } do
    add {
        id = "bits-resume-" .. kind, what = ("%s: saved, loaded and resumed against uninterrupted"):format(NAMES[kind]),
        wanted = "the same bits", seeds = "1671",
        run = function(run)
            local samples = kind == "mlp" and 5000 or 500
            local same = digest(run, kind, samples, 2) == digest(run, kind, samples, 2, "", true)
            return same and "the same" or "other bits", same
        end,
    }
end

for _, flavour in ipairs { "pthread", "openmp" } do
    local folder = "/usr/lib/x86_64-linux-gnu/openblas-" .. flavour
    add {
        id = "openblas-" .. flavour, seeds = "1671",
        what = ("OpenBLAS with %s: bits with 1, 2, 3 threads, and the process's threads"):format(flavour),
        wanted = "the same bits; 1, 2, 3 threads",
        run = function(run)
            if not run.read(folder .. "/libopenblas.so.0") then
                return "not installed: " .. folder, nil
            end
            local want, counts, same = nil, {}, true
            for threads = 1, 3 do
                local sum, tasks = digest(run, "mlp", 5000, threads, "LD_LIBRARY_PATH=" .. folder)
                want = want or sum
                same = same and sum == want
                counts[threads] = tasks
            end
            local shown = table.concat(counts, ", ")
            return ("%s bits; %s threads"):format(same and "the same" or "other", shown), same and shown == "1, 2, 3"
        end,
    }
end

-- ---- the program ----------------------------------------------------------------------------------------------------

add {
    id = "start", what = "moth -e 'print(moth.version)', best of 20, warm", wanted = "≤ 20 ms",
    run = function(run)
        local text = run.shell [[
            for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
                a=$(date +%s%N); build/moth -e 'print(moth.version)' > /dev/null || exit 1; b=$(date +%s%N)
                echo $(( (b - a) / 1000 ))
            done]]
        local best = math.huge
        for microseconds in text:gmatch "%d+" do
            best = math.min(best, tonumber(microseconds) / 1000)
        end
        return ("%.1f ms"):format(best), best <= 20
    end,
}

add {
    id = "size", what = "build/moth, stripped, OpenBLAS shared", wanted = "< 3 MB",
    run = function(run)
        local text = run.shell [[
            strip -o build/accept/stripped build/moth && stat -c %s build/accept/stripped && rm build/accept/stripped
            ldd build/moth | grep -c libopenblas]]
        local bytes, shared = text:match "(%d+)%s+(%d+)"
        return ("%.2f MB"):format(bytes / 1e6), tonumber(bytes) < 3e6 and tonumber(shared) > 0
    end,
}

add {
    id = "garbage", what = "eager loop that makes 4 GB of dead tensors, without collectgarbage: peak memory above live",
    wanted = "≤ 256 MB",
    run = function(run)
        local text = run.lua [[
            local moth = require "moth"
            local function kib(name)
                for line in io.lines "/proc/self/status" do
                    local n = line:match("^" .. name .. ":%s*(%d+)")
                    if n then return tonumber(n) end
                end
            end
            local a = moth.rand(512, 512) -- 1 MB
            local b = a + a
            local before = kib "VmRSS"
            for _ = 1, 2000 do b = a * 1.5 + 1 end
            print((kib "VmHWM" - before) // 1024)]]
        local mb = tonumber(text:match "%d+")
        return ("%d MB"):format(mb), mb <= 256
    end,
}

add {
    id = "demo", what = "`./setup demo`: its line `test accuracy 0.xxxx`, and the sample pictures that its model knows",
    wanted = "the line; 14 of 14", seeds = "1671", long = true,
    run = function(run)
        local text = run.shell "XDG_DATA_HOME=$(pwd)/build/accept/share build/moth scripts/demo.lua"
        local found, right = text:match "test accuracy (0%.%d%d%d%d)", text:match "%d+ of %d+ sample"
        local held = found ~= nil and right == "14 of 14 sample"
        return ("%s; %s pictures"):format(found or "no line", right or "no"), held
    end,
}

add {
    id = "synthetic", what = "synthetic digits (no network): MLP, Adam, 5 epochs on 10,000, accuracy on 2,000 others",
    wanted = "≥ 0.90", seeds = "1",
    run = function(run)
        local text = run.lua [[
            local moth = require "moth"
            moth.seed(1)
            local L = moth.layers
            local digits = moth.datasets.digits
            local train, test = digits { n = 10000, seed = 1 }, digits { n = 2000, seed = 2 }
            local m = moth.Sequential { L.Flatten { input_shape = { 28, 28 } }, L.Dense { 128, activation = "relu" },
                L.Dense { 10, activation = "softmax" } }
            m:compile { optimizer = "adam", loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
            m:fit(train.x, train.y, { epochs = 5, batch_size = 128, verbose = 0 })
            print(("%.4f"):format(m:evaluate(test.x, test.y).accuracy))]]
        local value = tonumber(text:match "[%d.]+")
        return ("%.4f"):format(value), value >= 0.90
    end,
}

return lines
