-- The parts of the prompt that need no terminal; the whole of it is driven by tests/pty.
local moth = require "moth"
local callbacks = require "moth.callbacks"
local chunk = require "moth.chunk"
local complete = require "moth.complete"
local hints = require "moth.hints"
local history = require "moth.history"
local members = require "moth.members"
local pretty = require "moth.pretty"

describe("pretty", function()
    it("shows scalars as source", function()
        assert.equal('"a\\n\\"\\\\\\0273"', pretty.quote 'a\n"\\\0273')
        assert.equal('"é"', pretty.format "é")
        assert.equal('"\\255"', pretty.format "\255")
        assert.equal("two\nlines", pretty.format "two\nlines")
        assert.equal("1.5", pretty.format(1.5))
        assert.equal("nil", pretty.format(nil))
    end)

    it("puts small tables on a line, keys sorted", function()
        assert.equal('{ 1, 2, a = { b = {} }, z = "s", [true] = 1 }',
            pretty.format { 1, 2, z = "s", a = { b = {} }, [true] = 1 })
    end)

    it("spreads large ones and aligns their keys", function()
        local text = pretty.format({ short = ("x"):rep(40), much_longer = ("y"):rep(40) })
        assert.equal(("{\n    much_longer = %q,\n    short       = %q,\n}"):format(("y"):rep(40), ("x"):rep(40)), text)
    end)

    it("aligns lists of lists and fills lines with numbers", function()
        local rows = {}
        for i = 1, 12 do
            rows[i] = { i, i * i * i }
        end
        assert.matches("\n    {  1,    1 },\n    {  2,    8 },", pretty.format(rows))
        local numbers = {}
        for i = 1, 50 do
            numbers[i] = i * 100
        end
        for line in pretty.format(numbers, 60):gmatch "[^\n]+" do
            assert.is_true(#line <= 60)
        end
    end)

    it("abridges and survives cycles and deep tables", function()
        local list = {}
        for i = 1, 1000 do
            list[i] = i
        end
        assert.matches("… 940 more", pretty.format(list))
        local cycle = { 1 }
        cycle.self = cycle
        assert.equal("{ 1, self = <cycle> }", pretty.format(cycle))
        local deep = {}
        for _ = 1, 1000 do
            deep = { deep }
        end
        assert.matches("{…}", pretty.format(deep))
    end)

    it("lets objects speak for themselves, even where they fail", function()
        local good = setmetatable({}, { __tostring = function() return "an object" end })
        local bad = setmetatable({}, { __tostring = function() error "no" end })
        assert.equal("{ an object }", pretty.format { good })
        assert.equal("<table: error in __tostring>", pretty.format(bad))
    end)

    it("runs no code of the tables it shows", function()
        local trap = setmetatable({ 1 }, { __index = error, __len = error, __pairs = error })
        assert.equal("{ 1 }", pretty.format(trap))
    end)
end)

describe("views", function()
    local views = require "moth.views"

    it("show a model as its table of layers", function()
        local model = moth.Sequential { moth.layers.Dense { 2, input_shape = { 3 } } }
        assert.matches("Total params: 8", views["moth.model"](model))
        assert.matches("Sequential", views["moth.model"](moth.Sequential {}))
    end)

    it("show a history by its epochs, abridged", function()
        local record = callbacks.History()
        assert.matches("0 epochs", views["callbacks.History"](record))
        record.history = { loss = {}, val_loss = {} }
        for i = 1, 20 do
            record.epoch[i], record.history.loss[i], record.history.val_loss[i] = i, 1 / i, 2 / i
        end
        local text = views["callbacks.History"](record)
        assert.matches("^epoch +loss +val_loss\n +1 +1%.0000 +2%.0000\n", text)
        assert.matches("\n +20 +0%.0500 +0%.1000$", text)
        assert.is_nil(text:find("\n   10 "))
        local _, breaks = text:gsub("\n", "")
        assert.equal(13, breaks)
    end)
end)

describe("completion", function()
    local session = chunk.session()
    session:compile("local telescope = { lens = 5, look = function() end, _private = 1 }").run()
    session:compile("local name = 'x'").run()

    local function tab(text, cursor)
        local new, at, list = complete.tab(text, cursor or #text, session)
        return new, at, list and list:gsub("%s+", " ")
    end

    it("completes locals, globals, fields and methods", function()
        assert.equal("telescope", (tab "teles"))
        assert.equal("print(telescope.lens", (tab "print(telescope.le"))
        assert.equal("telescope.look(", (tab "telescope.loo"))
        assert.same({ "telescope.l", 11, "lens look" }, { tab "telescope." })
        assert.equal("telescope:look(", (tab "telescope:"))
        assert.equal("name:reverse(", (tab "name:rev"))
        assert.equal("('x'):reverse(", (tab "('x'):rev"))
        assert.equal("string.format(", (tab "string.form"))
    end)

    it("does not mind the case where nothing else fits", function()
        assert.equal("telescope.lens", (tab "telescope.LEN"))
    end)

    it("hides private names until they are asked for", function()
        assert.equal("telescope._private", (tab "telescope._"))
    end)

    it("knows keywords and names of the chunk that is typed", function()
        assert.equal("local wavelength = 1 print(wavelength", (tab "local wavelength = 1 print(wavel"))
        assert.equal("function f(parameter) return parameter", (tab "function f(parameter) return param"))
        assert.equal("repeat", (tab "repea"))
    end)

    it("completes in the middle and does not double what follows", function()
        assert.same({ "string.format('%d')", 13 }, { tab("string.form('%d')", 11) })
    end)

    it("indents at the start of a line", function()
        assert.same({ "do\n    ", 7 }, { tab "do\n" })
    end)

    it("completes file names in strings", function()
        assert.equal("io.open('tests/spec/repl_spec.lua'", (tab "io.open('tests/spec/repl_s"))
        assert.equal('moth.x "tests/', (tab 'moth.x "test'))
    end)

    it("leaves comments, numbers and the unknown alone", function()
        assert.is_nil(tab "-- tel")
        assert.is_nil(tab "12")
        assert.is_nil(tab "nothing_like_this.x")
        assert.is_nil(tab "f().")
    end)

    it("knows what calls return", function()
        session:compile("local moth, layers = ...").run(moth, moth.layers)
        assert.equal("moth.zeros(2, 3):unsqueeze(", (tab "moth.zeros(2, 3):unsq"))
        assert.equal("moth.zeros(2, 3):matmul(x):sum(1):reshape(", (tab "moth.zeros(2, 3):matmul(x):sum(1):resh"))
        assert.equal("moth.Sequential({}):summary(", (tab "moth.Sequential({}):summ"))
        assert.equal("layers.Dense { 1 }.trainable", (tab "layers.Dense { 1 }.traina"))
        assert.is_nil(tab "layers.Dense { 1 }:traina")
        assert.is_nil(tab "tostring(1):rep(2):nothing")
    end)

    it("knows the options of methods and the values of options", function()
        session:compile("local layers, net = ...").run(moth.layers, moth.Sequential {})
        assert.equal("net:fit(x, y, { validation_split = ", (tab "net:fit(x, y, { validation_sp"))
        assert.equal('layers.Dense { 1, activation = "sigmoid"', (tab 'layers.Dense { 1, activation = "sigm'))
        assert.equal('layers.Activation "sigmoid"', (tab 'layers.Activation "sigm'))
        assert.equal('help "layers.Dropout"', (tab 'help "layers.Drop'))
        assert.equal("layers.Dropout { ", (tab "layers.Dropo"))
        assert.equal("net:summary(", (tab "net:summ"))
    end)

    it("knows the options of constructors", function()
        session:compile("local callbacks = ...").run(callbacks)
        local _, _, list = tab "callbacks.EarlyStopping { "
        assert.matches("patience", list)
        assert.equal("callbacks.EarlyStopping { patience = ", (tab "callbacks.EarlyStopping { pat"))
        assert.equal("callbacks.EarlyStopping({ patience = 1, monitor = ",
            (tab "callbacks.EarlyStopping({ patience = 1, moni"))
        _, _, list = tab "callbacks.EarlyStopping { patience = 3, "
        assert.is_nil(list:find "patience")
    end)
end)

describe("members", function()
    it("follows __index tables and survives loops of them", function()
        local a, b = { x = 1 }, { y = 2 }
        setmetatable(a, { __index = b })
        setmetatable(b, { __index = a })
        assert.same({ "x", "y" }, members.names(a))
        assert.is_nil(members.get(nil, "x"))
    end)
end)

describe("hints", function()
    local session = chunk.session()
    session:compile("local model = { fit = function() end }").run()

    it("suggest variables, fields and methods", function()
        assert.equal("there is no variable 'modle'; did you mean 'model'?",
            hints.for_error("stdin:1: attempt to index a nil value (global 'modle')", "modle:fit()", session))
        assert.equal("'model' has no 'fti'; did you mean 'fit'?",
            hints.for_error("stdin:1: attempt to call a nil value (method 'fti')", "model:fti()", session))
        assert.equal("'string' has no 'formt'; did you mean 'format'?", hints.for_nil("string.formt", session))
        assert.equal("there is no variable 'modl'; did you mean 'model'?", hints.for_nil("modl", session))
    end)

    it("say nothing where nothing is near or the name exists", function()
        assert.is_nil(hints.for_nil("zzzzzz", session))
        assert.is_nil(hints.for_nil("model.fit()", session))
        assert.is_nil(hints.for_error("stdin:1: boom", "x", session))
    end)
end)

describe("history", function()
    it("keeps chunks of several lines in a file, once", function()
        local path = os.tmpname()
        local getenv = os.getenv
        os.getenv = function(name) -- luacheck: ignore 122
            return name == "MOTH_HISTORY" and path or getenv(name)
        end
        finally(function()
            os.getenv = getenv -- luacheck: ignore 122
            os.remove(path)
        end)
        local remembered = {}
        local past = history.open(function(text)
            remembered[#remembered + 1] = text
        end)
        local block = "for i = 1, 2 do\n    print 'a\\n'\nend"
        past:add(block)
        past:add(block)
        past:add(" secret")
        past:add("1 + 1\n")
        assert.same({ block, "1 + 1" }, remembered)
        local again = {}
        history.open(function(text)
            again[#again + 1] = text
        end)
        assert.same(remembered, again)
    end)
end)
