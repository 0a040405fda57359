--- What the experiments share: options of the command line, MNIST as the reference document prepares it, results.
local moth = require "moth"

local common = { seed = 1671, batch_size = 128, validation_split = 0.2 }

local usage = "usage: moth %s [--epochs N] [--quick] [--seed N] [--seeds N] [--verbose 0|1|2] [--help]"

-- What a script says of itself: the comment that it begins with.
local function help(path)
    local lines = { usage:format(path), "" }
    for line in io.lines(path) do
        local text = line:match "^%-%-%-? ?(.*)$"
        if not text then
            break
        end
        lines[#lines + 1] = text
    end
    lines[#lines + 1] = [[

  --epochs N       passes over the training data, in place of the script's own number
  --quick          a tenth of the data and at most three epochs
  --seed N         of all draws (1671)
  --seeds N        of a sweep: each trial with seeds 1 to N
  --verbose 0|1|2  no progress, a live line, a line an epoch]]
    return table.concat(lines, "\n")
end

local function refuse(reason)
    io.stderr:write(("%s: %s\n%s\n"):format(arg[0], reason, usage:format(arg[0])))
    os.exit(2)
end

local least = { ["--epochs"] = 1, ["--seed"] = 0, ["--seeds"] = 1, ["--verbose"] = 0 }
local most = { ["--verbose"] = 2 }

--- Reads `--epochs N`, `--quick` (a tenth of the data, a few epochs), `--seed N`, `--verbose 0|1|2`, and for sweeps
-- `--seeds N`: each trial with seeds 1 to N. `--help` shows what the script says of itself, and ends it.
---@param epochs integer  what the document uses
---@param ... string  the options, where a script is run by another one
---@return { epochs: integer, quick: boolean, seeds?: integer, verbose?: integer }
function common.options(epochs, ...)
    local words = select("#", ...) > 0 and { ... } or arg or {}
    local options = { quick = false }
    local i = 1
    while words[i] do
        local name, value = words[i], math.tointeger(tonumber(words[i + 1]))
        if name == "--help" or name == "-h" then
            print(help(arg[0]))
            os.exit(0)
        elseif name == "--quick" then
            options.quick = true
        elseif not least[name] then
            refuse(("unknown option '%s'"):format(name))
        elseif not value or value < least[name] or value > (most[name] or math.maxinteger) then
            refuse(("%s needs a whole number from %d%s"):format(name, least[name],
                most[name] and " to " .. most[name] or ""))
        else
            options[name:sub(3)] = value
            i = i + 1
        end
        i = i + 1
    end
    options.epochs = options.epochs or options.quick and math.min(epochs, 3) or epochs
    common.seed = options.seed or common.seed
    moth.seed(common.seed)
    return options
end

--- The first n samples of a set, n a tenth of it where it is to be quick.
---@param set { x: moth.Tensor, y: moth.Tensor }
---@param quick boolean
---@return { x: moth.Tensor, y: moth.Tensor }
function common.part(set, quick)
    local n = quick and #set.x // 10 or #set.x
    return { x = set.x:slice(1, 1, n), y = set.y:slice(1, 1, n) }
end

local function prepare(set, quick)
    local part = common.part(set, quick)
    return { x = part.x:reshape(#part.x, 784), y = moth.one_hot(part.y, 10), ids = part.y }
end

--- MNIST in rows of 784, targets one-hot. Pixels stay bytes; the model scales them by 1/255.
---@param options { quick: boolean }
---@param silent? boolean
---@return table train
---@return table test
function common.mnist(options, silent)
    local train, test = moth.datasets.mnist()
    train, test = prepare(train, options.quick), prepare(test, options.quick)
    if not silent then
        print(("%d train samples"):format(#train.x))
        print(("%d test samples"):format(#test.x))
    end
    return train, test
end

--- Trains as every experiment of the document does; returns the history.
---@param batch_size? integer  other than the document's 128
function common.fit(model, data, options, batch_size)
    if options.verbose ~= 0 then
        local n = #data.x
        local trained = math.floor(n * (1 - common.validation_split))
        print(("Train on %d samples, validate on %d samples"):format(trained, n - trained))
    end
    return model:fit(data.x, data.y, {
        batch_size = batch_size or common.batch_size, epochs = options.epochs,
        validation_split = common.validation_split, verbose = options.verbose,
    })
end

--- Prints test score and accuracy as the document does, and returns them.
---@return { loss: number, accuracy: number }
function common.evaluate(model, data)
    local score = model:evaluate(data.x, data.y, { batch_size = common.batch_size })
    print(("Test score %.12f"):format(score.loss))
    print(("Test accuracy %.4f"):format(score.accuracy))
    return score
end

--- The document's network: two hidden layers of relu, dropout behind each where a rate is given.
---@param args? { hidden?: integer, dropout?: number, regularizer?: any }
function common.mlp(args)
    args = args or {}
    local layers, hidden = moth.layers, args.hidden or 128
    local model = moth.Sequential {
        layers.Dense { hidden, input_shape = { 784 }, kernel_regularizer = args.regularizer },
    }
    local function activate()
        model:add(layers.Activation "relu")
        if args.dropout then
            model:add(layers.Dropout(args.dropout))
        end
    end
    activate()
    model:add(layers.Dense { hidden, kernel_regularizer = args.regularizer })
    activate()
    model:add(layers.Dense { 10, kernel_regularizer = args.regularizer })
    model:add(layers.Activation "softmax")
    return model
end

--- Compiles with the document's loss and metric.
function common.compile(model, optimizer)
    model:compile { optimizer = optimizer, loss = "categorical_crossentropy", metrics = { "accuracy" } }
    return model
end

local loaded

--- Runs one experiment over a list of values of one parameter, prints its table and plots the test accuracy into runs/.
-- Trials of other epochs, seeds or data are other trials, so these are part of the name under which they are kept.
---@param args table  name, parameter, values, build, options, plot;
-- build(p) makes the compiled model; p.batch_size, where it is swept, is used by fit
---@return table sweep
function common.sweep(args)
    local options = args.options
    local sweep = moth.sweep {
        name = ("%s-%d-%d%s"):format(args.name, options.epochs, common.seed, options.quick and "-quick" or ""),
        grid = { [args.parameter] = args.values }, seed = common.seed,
        seeds = options.seeds,
        trial = function(p)
            loaded = loaded or { common.mnist(options, true) }
            local train, test = table.unpack(loaded)
            local model, started = args.build(p), os.clock()
            local silent = { epochs = options.epochs, verbose = 0 }
            local history = common.fit(model, train, silent, p.batch_size).history
            local score = model:evaluate(test.x, test.y, { batch_size = common.batch_size, verbose = 0 })
            return {
                accuracy = history.accuracy[#history.accuracy], val_accuracy = history.val_accuracy[#history.accuracy],
                test_accuracy = score.accuracy, params = model:count_params(), cpu_seconds = os.clock() - started,
            }
        end,
    }
    sweep:table()
    print(sweep:best "test_accuracy")
    local file = ("runs/%s.svg"):format(sweep.name)
    print("plot: " .. (sweep:plot(args.parameter, "test_accuracy", file, args.plot) or file))
    return sweep
end

--- Share of all weights that are smaller than 0.01.
---@param model moth.Model
---@return number
function common.near_zero(model)
    local small = 0
    for _, w in ipairs(model:get_weights()) do
        small = small + w:abs():lt(1e-2):sum():item()
    end
    return small / model:count_params()
end

--- A table of rows on standard output, columns aligned.
---@param head string[]
---@param rows any[][]
function common.table(head, rows)
    local widths, lines = {}, { head, table.unpack(rows) }
    for _, row in ipairs(lines) do
        for c, cell in ipairs(row) do
            widths[c] = math.max(widths[c] or 0, #tostring(cell))
        end
    end
    for _, row in ipairs(lines) do
        local cells = {}
        for c, cell in ipairs(row) do
            cells[c] = ("%" .. widths[c] .. "s"):format(tostring(cell))
        end
        print(table.concat(cells, "  "))
    end
end

return common
