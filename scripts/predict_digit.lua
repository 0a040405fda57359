--- Trains the MLP for a few epochs and says what it sees in pictures: those named, or the samples in data/digits.
-- `--model FILE` takes a saved model instead.
local moth = require "moth"
local here = arg[0]:match("^.*/") or ""
local common = dofile(here .. "common.lua")
local pictures, model = {}, nil
for i = #arg, 1, -1 do -- what is no option is a picture
    if arg[i] == "--model" and arg[i + 1] then
        model = moth.load_model(table.remove(arg, i + 1))
        table.remove(arg, i)
    elseif not arg[i]:find "^%-" and not (arg[i - 1] or ""):find "^%-%-[esv]" then
        table.insert(pictures, 1, table.remove(arg, i))
    end
end
local options = common.options(5)
if #pictures == 0 then
    for digit = 0, 9 do
        pictures[digit + 1] = ("%s../data/digits/%d.png"):format(here, digit)
    end
end
if not model then
    local train, test = common.mnist(options)
    model = common.compile(common.mlp { dropout = 0.3 }, moth.optimizers.Adam {})
    common.fit(model, train, options)
    common.evaluate(model, test)
end

local rows = {}
for i, path in ipairs(pictures) do
    local digit, probability = model:predict_digit(path)
    rows[i] = { path:match "[^/]+$", digit, ("%.3f"):format(probability) }
end
common.table({ "picture", "digit", "probability" }, rows)
