--- All tables and plots of the reference document in one page, runs/report/index.html, beside the document's figures.
-- Each result is the median and range of seeds 1, 2, 3. `--quick`: seed 1 alone, and three epochs in the sweeps;
-- `--epochs N`: that many everywhere.
local moth = require "moth"
local json = require "moth.json"
local here = arg[0]:match "^.*/" or ""
local common, page = dofile(here .. "common.lua"), dofile(here .. "report_page.lua")
local options = common.options(200)
local given = table.concat(arg, " "):find("--epochs", 1, true) and options.epochs
local seeds = options.quick and { 1 } or { 1, 2, 3 }

-- ---- what is trained ------------------------------------------------------------------------------------------------

local function single()
    return moth.Sequential { moth.layers.Dense { 10, input_shape = { 784 } }, moth.layers.Activation "softmax" }
end
local function dropout()
    return common.mlp { dropout = 0.3 }
end
local function l2(lambda)
    return function()
        return common.mlp { regularizer = lambda > 0 and moth.regularizers.l2(lambda) or nil }
    end
end

-- What the document prints of an epoch: loss, accuracy, val_loss, val_accuracy.
local printed = {
    A = { [1] = { 1.3633, 0.6796, 0.8904, 0.8246 }, [10] = { 0.4317, 0.8850, 0.3977, 0.8966 },
        [30] = { 0.3465, 0.9041, 0.3277, 0.9097 }, [101] = { 0.2950, 0.9179, 0.2879, 0.9201 },
        [200] = { 0.2761, 0.9230, 0.2756, 0.9241 } },
    B = { [1] = { 1.5208, 0.6089, 0.7766, 0.8380 }, [20] = { 0.1919, 0.9457, 0.1918, 0.9460 } },
    C = { [1] = { 1.7279, 0.4675, 0.9221, 0.8054 }, [20] = { 0.2879, 0.9158, 0.1919, 0.9441 } },
    E = { [1] = { 0.2523, 0.9239, 0.1341, 0.9596 }, [20] = { 0.0692, 0.9801, 0.1024, 0.9750 } },
    F = {},
}

-- A run has a network and stages: name, optimizer, the document's test score and accuracy, the least accuracy that is
-- within tolerance, the document's letter. A stage goes on with the weights of the one before it, as the document does:
-- so C, E and F are one run.
local runs = {
    { "single layer", 200, single, { { "A: one layer", "SGD", 0.2774, 0.9227, 0.9197, "A" } } },
    { "MLP", 20, common.mlp, { { "B: MLP", "SGD", 0.1884, 0.9468, 0.9408, "B" } } },
    { "dropout, warm", 20, dropout, {
        { "C: dropout 0.3", "SGD", 0.1926, 0.9424, 0.9344, "C" },
        { "E: then RMSprop", "RMSprop", 0.0923, 0.9777, 0.975, "E" },
        { "F: then Adam", "Adam", 0.0861, 0.9805, 0.977, "F" },
    } },
    { "RMSprop, fresh", 20, dropout, { { "E: RMSprop, fresh weights", "RMSprop", nil, nil, 0.974 } } },
    { "Adam, fresh", 20, dropout, { { "F: Adam, fresh weights", "Adam", nil, nil, 0.974 } } },
}
local lambdas = { 0, 1e-4, 1e-3, 1e-2 }
for _, lambda in ipairs(lambdas) do
    runs[#runs + 1] = { ("l2 %g"):format(lambda), 20, l2(lambda), { { ("H: l2 %g"):format(lambda), "Adam" } } }
end
local names, run_named, data = {}, {}, nil
for i, run in ipairs(runs) do
    names[i], run_named[run[1]] = run[1], run
end

local sweep = moth.sweep {
    name = ("report-%s"):format(given or "full"), grid = { run = names }, seeds = seeds,
    trial = function(p)
        data = data or { common.mnist({ quick = false }, true) }
        local _, epochs, build, stages = table.unpack(run_named[p.run])
        local model, kept, score = build(), {}, nil
        for i, stage in ipairs(stages) do
            common.compile(model, moth.optimizers[stage[2]] {})
            local history = common.fit(model, data[1], { epochs = given or epochs, verbose = 0 }).history
            score = model:evaluate(data[2].x, data[2].y, { batch_size = common.batch_size, verbose = 0 })
            kept[i] = { score = score.loss, accuracy = score.accuracy, history = history }
        end
        return {
            test_accuracy = score.accuracy, test_score = score.loss, params = model:count_params(),
            near_zero = common.near_zero(model), stages = json.encode(kept),
        }
    end,
}

-- The sweeps of scripts of their own, over the seeds of the report. All trials come before the page: a worker runs
-- again what stands before its sweep, and must not draw it.
local swept = {}
for _, script in ipairs { "dropout_sweep", "hidden_size", "learning_rate", "batch_size", "optimizer_sweep" } do
    local epochs = given or options.quick and 3 or 20
    local run = assert(loadfile(here .. script .. ".lua"))
    swept[script] = run("--seeds", tostring(#seeds), "--epochs", tostring(epochs))
end

-- ---- what came out --------------------------------------------------------------------------------------------------

local function records_of(name)
    local list = {}
    for _, record in ipairs(sweep:records()) do
        list[#list + 1] = record.status == "done" and record.params.run == name and record or nil
    end
    return list
end

local stages_of = {}
-- What the runs of all seeds kept of a stage.
local function stage_results(name, index)
    stages_of[name] = stages_of[name] or {}
    local list = {}
    for i, record in ipairs(records_of(name)) do
        stages_of[name][i] = stages_of[name][i] or json.decode(record.result.stages)
        list[i] = stages_of[name][i][index]
    end
    return list
end

local function map(list, f)
    local new = {}
    for i, value in ipairs(list) do
        new[i] = f(value)
    end
    return new
end

local function figure(format, x)
    return x and format:format(x) or ""
end

local function result_row(run, index)
    local title, _, score, accuracy, least = table.unpack(run[4][index], 1, 5)
    local results = stage_results(run[1], index)
    local text, range, middle = page.spread(map(results, function(r) return r.accuracy end), "%.4f")
    local own_score = page.spread(map(results, function(r) return r.score end), "%.4f")
    local verdict = #results < #seeds and "outside" or not least and "" or middle >= least and "within" or "outside"
    local words = { within = "within", outside = #results < #seeds and "failed" or "outside", [""] = "no figure" }
    local params = records_of(run[1])[1]
    return {
        title, params and page.count(params.result.params), figure("%.4f", score), own_score,
        figure("%.4f", accuracy), text, range, figure("%.4f", least), words[verdict], verdict = verdict,
    }
end

local function epoch_rows(letter, results)
    local rows = {}
    local keys = { "loss", "accuracy", "val_loss", "val_accuracy" }
    for epoch = 1, 200 do
        local figures = printed[letter][epoch]
        if figures and results[1] and results[1].history.loss[epoch] then
            local row = { tostring(epoch) }
            for i, key in ipairs(keys) do
                row[2 * i] = ("%.4f"):format(figures[i])
                row[2 * i + 1] = page.spread(map(results, function(r) return r.history[key][epoch] end), "%.4f")
            end
            rows[#rows + 1] = row
        end
    end
    return rows
end

-- ---- the page -------------------------------------------------------------------------------------------------------

os.execute "mkdir -p runs/report"
local html = page.new "The reference document's experiments"

local function over_seeds()
    return options.quick and "Seed 1 alone, and three epochs in the sweeps (--quick)."
        or "Each result is the median of seeds 1, 2 and 3, with the smallest and largest of them."
end

html:text(("Networks on MNIST: 48,000 pictures to learn from, 12,000 to validate, 10,000 to test; batches of %d. %s%s")
    :format(common.batch_size, over_seeds(), given and (" Every run had %d epochs, not the document's number.")
    :format(given) or ""))
local rows = {}
for _, run in ipairs(runs) do
    for i in ipairs(run[4]) do
        rows[#rows + 1] = result_row(run, i)
    end
end
html:table({ "experiment", "parameters", "test score (doc.)", "test score", "test accuracy (doc.)", "test accuracy",
    "range", "at least", "verdict" }, rows)
html:text [[(doc.) is what the document prints. It compiles again without building the network anew, so its RMSprop goes
on with the weights that SGD left, and its Adam with those of RMSprop: "then" does the same. The same from fresh weights
stands below it; those bounds are moth's own. Where the document has no figure there is no verdict.]]

local function curves(title, file, result)
    local epochs = {}
    for i = 1, #result.history.loss do
        epochs[i] = i
    end
    html:plot(moth.plot.history({ history = result.history, epoch = epochs }, file, { title = title }))
end

for _, run in ipairs(runs) do
    for i, stage in ipairs(run[4]) do
        local letter, results = stage[6], stage_results(run[1], i)
        if letter and results[1] then
            html:section(stage[1])
            local lines = epoch_rows(letter, results)
            if #lines > 0 then
                html:text "Epochs that the document prints:"
                html:table({ "epoch", "loss (doc.)", "loss", "accuracy (doc.)", "accuracy", "val_loss (doc.)",
                    "val_loss", "val_accuracy (doc.)", "val_accuracy" }, lines)
            end
            curves(("%s, seed %d"):format(stage[1], seeds[1]), ("runs/report/%s.svg"):format(letter),
                results[1])
        end
    end
end

html:section "H: regularization"
html:text [[Weight decay by l2 with Adam: the larger lambda, the more weights are close to zero, the simpler the model.
The document has no figures for it.]]
local h = {}
for i, lambda in ipairs(lambdas) do
    local name = ("l2 %g"):format(lambda)
    local results, done = stage_results(name, 1), records_of(name)
    local function last(key)
        return (page.spread(map(results, function(r) return r.history[key][#r.history[key]] end), "%.4f"))
    end
    local text, range = page.spread(map(results, function(r) return r.accuracy end), "%.4f")
    local small = page.spread(map(done, function(r) return r.result.near_zero end), "%.3f")
    h[i] = { ("%g"):format(lambda), small, last "accuracy", last "val_accuracy", text, range }
end
html:table({ "lambda", "share of |w| < 0.01", "accuracy", "val_accuracy", "test accuracy", "range" }, h)

-- ---- the sweeps -----------------------------------------------------------------------------------------------------

local function add_sweep(script, title, text, parameter, more)
    local one = swept[script]
    html:section(title)
    html:text(text)
    local groups, order = {}, {}
    for _, record in ipairs(one:records()) do
        local value = record.params[parameter]
        if not groups[value] then
            groups[value] = {}
            order[#order + 1] = value
        end
        table.insert(groups[value], record.result)
    end
    local lines = {}
    for i, value in ipairs(order) do
        local function of(key, format)
            return page.spread(map(groups[value], function(r) return r[key] end), format)
        end
        local accuracy, range = of("test_accuracy", "%.4f")
        lines[i] = {
            math.type(value) == "float" and ("%g"):format(value) or tostring(value),
            page.count(groups[value][1] and groups[value][1].params or 0), (of("cpu_seconds", "%.1f")),
            (of("accuracy", "%.4f")), (of("val_accuracy", "%.4f")), accuracy, range,
        }
    end
    html:table({ (parameter:gsub("_", " ")), "parameters", "CPU seconds", "accuracy", "val_accuracy", "test accuracy",
        "range" }, lines)
    html:plot(("runs/%s.svg"):format(one.name))
    for _, metric in ipairs(more or {}) do
        local file = ("runs/report/%s-%s.svg"):format(script, metric)
        html:plot(one:plot(parameter, metric, file, { width = 460, height = 320 }))
    end
end

add_sweep("dropout_sweep", "D: dropout rate", [[The document's own sweep is broken: its rate never reaches a layer and
the model is never built again. Here each rate has a fresh model; rate 1 learns nothing: chance level, about
0.1.]], "rate")
add_sweep("hidden_size", "G1: hidden units",
    "Parameters rise steeply, and time with them; accuracy gains less and less.",
    "units", { "params", "cpu_seconds" })
add_sweep("learning_rate", "G2: learning rate",
    "SGD: too small learns too slowly, too large not at all.", "rate")
add_sweep("batch_size", "G3: batch size", "SGD: smaller batches make more steps an epoch, and so learn more in one.",
    "batch_size")
add_sweep("optimizer_sweep", "Optimizers", "Each by its defaults, from fresh weights.", "optimizer")

html:section "Activations"
html:text "The perceptron's step says yes or no and has no slope to learn from; sigmoid says how much; relu is cheap."
local x, step, sigmoid, relu = {}, {}, {}, {}
for i = 1, 121 do
    x[i] = (i - 61) / 10
    step[i], sigmoid[i], relu[i] = x[i] > 0 and 1 or 0, 1 / (1 + math.exp(-x[i])), math.max(0, x[i])
end
html:plot(moth.plot {
    series = { { x, step, "step" }, { x, sigmoid, "sigmoid" }, { x, relu, "relu" } }, ylim = { -0.1, 2 },
    xlabel = "z", ylabel = "activation", file = "runs/report/activations.svg",
})
html:write "runs/report/index.html"
print "report: runs/report/index.html"
