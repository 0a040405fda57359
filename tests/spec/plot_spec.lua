local moth = require "moth"
local data = require "moth.plot_data"
local plot = require "moth.plot"
local plot_terminal = require "moth.plot_terminal"
local terminal = require "moth.terminal"
local callbacks = require "moth.callbacks"
local support = require "tests.spec.support"

local directory

before_each(function() directory = support.directory() end)
after_each(function() support.remove(directory) end)

local function count(text, pattern)
    local _, n = text:gsub(pattern, "")
    return n
end

-- An object that is no plain table, as tensors are.
local function tensor(values)
    local methods = { totable = function() return values end }
    return setmetatable({}, { __index = methods, __name = "moth.Tensor" })
end

local wave, shifted = {}, {}
for i = 1, 50 do
    wave[i], shifted[i] = math.sin(i / 8), math.cos(i / 8)
end

local function picture(shade)
    local rows = {}
    for i = 1, 8 do
        rows[i] = {}
        for j = 1, 8 do
            rows[i][j] = (i + j) % 3 * shade
        end
    end
    return rows
end

local function history()
    local one = callbacks.History {}
    one.epoch = { 1, 2, 3, 4 }
    one.history = { loss = { 4, 2, 1.5, 1.25 }, val_loss = { 3, 2.5 }, accuracy = { 0.5, 0.75, 0.875, 0.9 },
        learning_rate = { 0.1, 0.1, 0.1, 0.1 } }
    return one
end

-- One plot of each kind.
local kinds = {
    curve = function(file) return plot { wave, wave, title = "a_b", xlabel = "x", file = file } end,
    series = function(file)
        return plot { series = { { y = wave, label = "sine" }, { y = shifted, label = "cosine" } }, title = "two",
            file = file }
    end,
    range = function(file)
        return plot { x = { 1, 2, 3 }, y = { 2, 4, 3 }, low = { 1, 3, 2 }, high = { 3, 5, 4 }, file = file }
    end,
    points = function(file)
        return plot { x = { "sgd", "adam" }, y = { 2, 4 }, low = { 1, 3 }, high = { 3, 5 }, style = "points",
            file = file }
    end,
    steps = function(file) return plot { y = { 1, 3, 2 }, style = "steps", file = file } end,
    log = function(file)
        return plot { x = { 1e-4, 1e-3, 1e-2 }, y = { 1, 10, 100 }, xlog = true, ylog = true, file = file }
    end,
    bars = function(file) return plot.bars { { "sgd", "adam" }, { 0.5, 0.75 }, ylabel = "accuracy", file = file } end,
    histogram = function(file) return plot.histogram { wave, bins = 7, file = file } end,
    heatmap = function(file)
        return plot.heatmap { { { 1, 2, 3 }, { 4, 5, 6 } }, xnames = { "a", "b", "c" }, ylabel = "rows", file = file }
    end,
    confusion = function(file) return plot.confusion_matrix { { { 9, 1 }, { 0, 10 } }, file = file } end,
    images = function(file)
        return plot.images { { picture(100), picture(50), picture(10) }, titles = { 7, "two", "" }, columns = 2,
            marked = { true }, file = file }
    end,
    image = function(file)
        return plot.image({ { { 255, 0, 0 }, { 0, 255, 0 } }, { { 0, 0, 255 }, { 9, 9, 9 } } }, { file = file })
    end,
    weights = function(file)
        local w = {}
        for i = 1, 16 do
            w[i] = { math.sin(i), -math.cos(i), i / 16 }
        end
        return plot.weights { w, file = file }
    end,
    history = function(file) return history():plot(file) end,
}

local names = {}
for name in pairs(kinds) do
    names[#names + 1] = name
end
table.sort(names)

describe("plots as files", function()
    for _, name in ipairs(names) do
        it("draws " .. name .. " as SVG, PNG and PDF", function()
            local svg = directory .. "/deep/plot.svg"
            assert.are.equal(svg, kinds[name](svg))
            local text = support.read(svg)
            assert.is_truthy(text:find("^<svg [^>]*width=\"%d+\" height=\"%d+\" viewBox=\"0 0 %d+ %d+\""))
            assert.is_truthy(text:find("</svg>\n$"))
            assert.are.equal(count(text, "<g[ >]"), count(text, "</g>"))
            assert.is_nil(text:find(' id='))
            assert.is_nil(text:find("[Gg]nuplot"))
            assert.is_true(#text < 30000, "the file has " .. #text .. " bytes")
            local png = directory .. "/plot.PNG"
            kinds[name](png)
            local bytes = support.read(png)
            assert.are.equal("\137PNG\r\n\26\n", bytes:sub(1, 8))
            local width, height = (">I4I4"):unpack(bytes, 17)
            local svg_width, svg_height = text:match('width="(%d+)" height="(%d+)"')
            -- Twice the pixels of the other formats.
            assert.are.same({ width, height }, { 2 * svg_width, 2 * svg_height })
            local pdf = directory .. "/plot.pdf"
            kinds[name](pdf)
            assert.are.equal("%PDF-", support.read(pdf):sub(1, 5))
            -- Nothing but the three files is left.
            local pipe = io.popen("ls " .. directory .. " " .. directory .. "/deep | grep -c .")
            assert.are.equal("6", pipe:read("l"))
            pipe:close()
        end)
    end

    local function svg_of(options, draw)
        options.file = directory .. "/a.svg";
        (draw or plot)(options)
        return support.read(options.file)
    end

    it("shows texts as they are", function()
        local text = svg_of { y = { 1, 2 }, title = "it's 100 % \"x_1\" `date` $HOME \\n <é> & \27[31m",
            xlabel = "a_b^c", label = "@'x'" }
        assert.is_truthy(text:find("it's 100 % \"x_1\" `date` $HOME \\n &lt;é> &amp; [31m</text>", 1, true))
        assert.is_truthy(text:find("a_b^c</text>", 1, true))
        assert.is_truthy(text:find("@'x'</text>", 1, true))
        assert.is_nil(text:find("\27"))
        text = svg_of({ { "50 %", "%g'%%" }, { 1, 2 } }, plot.bars)
        assert.is_truthy(text:find("50 %</text>", 1, true))
        assert.is_truthy(text:find("%g'%%</text>", 1, true))
    end)

    it("labels axes, ticks and series", function()
        local text = svg_of { series = { { y = { 1, 2, 3 }, label = "one" }, { y = { 3, 1, 2 }, label = "two" } },
            xlabel = "epoch", ylabel = "loss" }
        for _, label in ipairs { "epoch", "loss", "one", "two", "1", "2", "3" } do
            assert.is_truthy(text:find(">" .. label .. "</text>", 1, true), label)
        end
        -- The first two colours of Okabe and Ito that stand out on white.
        assert.is_truthy(text:find("#0072b2", 1, true))
        assert.is_truthy(text:find("#d55e00", 1, true))
    end)

    it("draws large heat maps on a page, with a name for some of the cells", function()
        local text = svg_of({ moth.rand(784, 128) }, plot.heatmap)
        local width, height = text:match 'width="(%d+)" height="(%d+)"'
        assert.is_true(tonumber(width) < 1000 and tonumber(height) < 1000, width .. " x " .. height)
        assert.is_truthy(text:find(">100<", 1, true))
        assert.is_nil(text:find(">101<", 1, true))
        text = svg_of({ moth.rand(3, 60) }, plot.heatmap)
        assert.is_truthy(text:find(">1<", 1, true), "each of three rows has its name")
    end)

    it("puts series of different names on one axis", function()
        local text = svg_of { series = { { { "a", "b" }, { 1, 2 } }, { { "c", "b" }, { 3, 4 } } } }
        for _, name in ipairs { "a", "b", "c" } do
            assert.is_truthy(text:find(">" .. name .. "<", 1, true), name)
        end
    end)

    it("leaves room for the first of turned names", function()
        local words, heights = {}, {}
        for i = 1, 40 do
            words[i], heights[i] = "a long name of number " .. i, i
        end
        local text = svg_of({ words, heights }, plot.bars)
        local x = text:match 'translate%(([%d.]+),[%d.]+%)[^\n]*\n<text>a long name of number 1<'
        -- 23 letters of 7 pixels, turned by 35 degrees.
        assert.is_true(tonumber(x) >= 23 * 7 * math.cos(math.rad(35)), x)
        local last = 0
        for tick in text:gmatch 'translate%(([%d.]+),[%d.]+%)' do
            last = math.max(last, tonumber(tick))
        end
        assert.is_true(last > 560, "the axis goes on to the right edge")
    end)

    it("draws a heat map of equal values", function()
        for _, value in ipairs { 0, 1, 0.25 } do
            for _, palette in ipairs { "sequential", "diverging" } do
                local text = svg_of({ { { value, value } }, palette = palette }, plot.heatmap)
                assert.is_truthy(text:find(">" .. value .. "<", 1, true))
            end
        end
    end)

    it("takes one column, as models predict it, as a list", function()
        assert.equal(svg_of { y = { 1, 3, 2 } }, svg_of { y = moth.tensor { { 1 }, { 3 }, { 2 } } })
    end)

    it("writes the counts of a confusion matrix, and leaves out zeros", function()
        local text = svg_of({ { { 9, 1 }, { 0, 10 } }, title = "T" }, plot.confusion_matrix)
        for _, label in ipairs { "9", "10", "predicted", "true" } do
            assert.is_truthy(text:find(">" .. label .. "</text>", 1, true), label)
        end
        -- Classes 0 and 1 stand on both axes; the count 1 stands once; the count 0 nowhere.
        assert.are.equal(2, count(text, ">0</text>"))
        assert.are.equal(3, count(text, ">1</text>"))
        assert.is_truthy(text:find("<title>T</title>", 1, true))
    end)

    it("keeps pixels of pictures as pixels", function()
        local text = svg_of({ { picture(100) } }, plot.images)
        assert.are.equal(1, count(text, "<image "))
        assert.is_truthy(text:find("image-rendering:pixelated", 1, true))
    end)

    it("draws marked titles in bold", function()
        local text = svg_of({ { picture(1), picture(2) }, titles = { "good", "bad" }, marked = { [2] = true } },
            plot.images)
        assert.is_truthy(text:find('<text font%-weight="bold"[^>]*>bad</text>'))
        assert.is_nil(text:find('<text font%-weight="bold"[^>]*>good</text>'))
    end)

    it("leaves gaps where numbers are not finite", function()
        svg_of { y = { 1, 0 / 0, math.huge, 2, 3 } }
        svg_of { y = { 5, 5, 5 } }
        svg_of { y = { 1 } }
        svg_of { y = { 0, -1, 10 }, ylog = true }
    end)

    it("cuts what does not fit, and turns names that would run into each other", function()
        local long = ("a long text "):rep(30)
        local text = svg_of { y = { 1, 2 }, title = long, xlabel = long, ylabel = long, label = long }
        assert.is_truthy(text:find("<title>" .. long .. "</title>", 1, true))
        local shown = 0
        for one in text:gmatch ">(a long text [^<]*…)</text>" do
            shown = shown + 1
            assert.is_true(utf8.len(one) < 110, one)
        end
        assert.are.equal(4, shown)
        text = svg_of({ { "one", "another long name", "a third long name", "four" }, { 1, 2, 3, 4 } }, plot.bars)
        assert.is_nil(text:find("rotate", 1, true))
        text = svg_of({ { "one", "another long name", "a third long name", "four" }, { 1, 2, 3, 4 }, width = 400 },
            plot.bars)
        assert.are.equal(4, count(text, "rotate"))
    end)

    it("takes weights as a tensor, and a picture with options", function()
        assert.is_truthy(svg_of({ tensor { { 1, 2 }, { 3, 4 }, { 5, 6 }, { 7, 8 } } }, plot.weights))
        assert.are.equal(1, count(svg_of({ tensor(picture(3)) }, plot.image), "<image "))
        assert.are.equal(1, count(svg_of({ picture(3) }, plot.image), "<image "))
    end)

    it("gives the same bytes again", function()
        local first = svg_of { y = wave, title = "again" }
        assert.are.equal(first, svg_of { y = wave, title = "again" })
    end)

    it("takes a size", function()
        assert.is_truthy(svg_of({ y = { 1, 2 }, width = 300, height = 200 }):find('width="300" height="200"', 1, true))
    end)

    it("says what is missing without gnuplot, and what gnuplot said when it failed", function()
        local popen = io.popen
        finally(function() rawset(io, "popen", popen) end)
        rawset(io, "popen", function(command) return popen((command:gsub("gnuplot", "no-such-gnuplot"))) end)
        local message = support.refusal(plot, { y = { 1, 2 }, file = directory .. "/a.svg" })
        assert.is_truthy(message:find("apt install gnuplot-nox", 1, true))
        rawset(io, "popen", function() return popen("echo 'line 7: it broke'; exit 1") end)
        message = support.refusal(plot, { y = { 1, 2 }, file = directory .. "/a.svg" })
        assert.is_truthy(message:find("gnuplot could not write", 1, true))
        assert.is_truthy(message:find("line 7: it broke", 1, true))
        assert.is_nil(io.open(directory .. "/a.svg"))
    end)

    it("says that it cannot write", function()
        local file = assert(io.open(directory .. "/file", "wb"))
        file:close()
        local message = support.refusal(plot, { y = { 1, 2 }, file = directory .. "/file/a.svg" })
        assert.is_truthy(message:find("/file/a.svg: cannot write: Not a directory", 1, true))
        message = support.refusal(plot, { y = { 1, 2 }, file = directory .. "/file/deep/a.svg" })
        assert.is_truthy(message:find("cannot make the directory", 1, true))
        for _, ending in ipairs { "svg", "png" } do
            local name = directory .. "/folder." .. ending
            assert(os.execute("mkdir " .. name))
            message = support.refusal(plot, { y = { 1, 2 }, file = name })
            assert.is_truthy(message:find("cannot write: it is a directory", 1, true))
            assert(os.execute("rmdir " .. name))
        end
        local left = io.popen("ls -A " .. directory .. " | grep folder"):read("a")
        assert.are.equal("", left)
    end)
end)

describe("plots in the terminal", function()
    local shown

    -- What a plot writes to the terminal, in a given style.
    local function lines_of(draw, style)
        local show = plot_terminal.show
        local wanted = { columns = 60, rows = 8, utf8 = true, color = false, truecolor = false }
        for key, value in pairs(style or {}) do
            wanted[key] = value
        end
        finally(function() plot_terminal.show = show end)
        plot_terminal.show = function(drawing)
            shown = plot_terminal.lines(drawing, wanted)
        end
        assert.is_nil(draw())
        plot_terminal.show = show
        return shown
    end

    for _, name in ipairs(names) do
        it("draws " .. name .. " within its columns, with and without colours and UTF-8", function()
            for _, style in ipairs { {}, { color = true }, { color = true, truecolor = true }, { utf8 = false },
                { columns = 30 }, { columns = 100, rows = 16 } } do
                for _, line in ipairs(lines_of(kinds[name], style)) do
                    local columns = style.columns or 60
                    assert.is_true(terminal.columns(line) <= columns, columns .. " columns: " .. line)
                    if not style.color then
                        assert.is_nil(line:find("\27"))
                    end
                    if style.utf8 == false then
                        assert.is_nil(line:find("[\128-\255]"))
                    end
                end
            end
        end)
    end

    it("draws a line from corner to corner with braille dots and axes", function()
        assert.are.same({
            "up",
            "   y",
            "  │                 ⢀⡠⠔⠊",
            "  │              ⣀⠤⠊⠁   ",
            "5 ┤          ⢀⡠⠔⠉       ",
            "  │       ⣀⠔⠊⠁          ",
            "  │   ⢀⡠⠒⠉              ",
            "0 ┤⡠⠔⠊⠁                 ",
            "  └┬────────────┬───────",
            "   0            5",
            "             x",
        }, lines_of(function()
            return plot { { 0, 8 }, { 0, 8 }, title = "up", xlabel = "x", ylabel = "y" }
        end, { columns = 25, rows = 6 }))
    end)

    it("draws points that can be seen", function()
        local lines = lines_of(function() return plot { { 1, 2, 3 }, { 1, 3, 2 }, style = "points" } end)
        assert.are.equal(3, count(table.concat(lines, "\n"), "•"))
    end)

    it("tells curves apart without colours", function()
        local lines = lines_of(kinds.series)
        assert.is_truthy(lines[2]:find("a sine   b cosine", 1, true))
        local body = table.concat(lines, "\n", 3)
        assert.are.equal(1, count(body, "a"))
        assert.are.equal(1, count(body, "b"))
        lines = lines_of(kinds.series, { utf8 = false })
        assert.is_truthy(lines[2]:find("* sine   o cosine", 1, true))
    end)

    it("draws bars with names and numbers", function()
        assert.are.same({
            " sgd ██████████████▋ 0.5",
            "adam ██████████████████████ 0.75",
            "     accuracy",
        }, lines_of(kinds.bars, { columns = 32 }))
        assert.are.same({
            " a #### 1 (0.5 to 2)",
            "bb ######## 2 (1.5 to 3)",
        }, lines_of(function()
            return plot.bars { { "a", "bb" }, { 1, 2 }, low = { 0.5, 1.5 }, high = { 2, 3 } }
        end, { columns = 24, utf8 = false }))
    end)

    it("draws a wide heat map as a picture within its columns", function()
        local wide = {}
        for i = 1, 20 do
            wide[i] = {}
            for j = 1, 300 do
                wide[i][j] = i * j
            end
        end
        wide[3][3] = 0 / 0
        for _, color in ipairs { false, true } do
            local cells = { {}, {} }
            for k = 1, 300 do
                cells[1][k], cells[2][k] = tostring(k), k <= 20 and tostring(k) or nil
            end
            local lines = plot_terminal.lines({ panels = { { kind = "heatmap", values = wide, palette = "sequential",
                limits = { 0, 6000 }, xnames = cells[1], ynames = cells[2], xlabel = "unit" } } },
                { columns = 70, rows = 10, utf8 = true, color = color, truecolor = color })
            assert.is_true(#lines < 20)
            for _, line in ipairs(lines) do
                assert.is_true(terminal.columns((line:gsub("\27%[[%d;]*m", ""))) <= 70)
            end
            assert.is_truthy(lines[1]:find("rows: 1 to 20", 1, true))
            assert.is_truthy(lines[#lines]:find("unit: 1 to 300", 1, true))
        end
    end)

    it("draws bars on a logarithmic axis", function()
        local lines = plot_terminal.lines({ panels = { { kind = "xy", ylog = true, categories = { "a", "b", "c", "d" },
            series = { { x = { 1, 2, 3, 4 }, y = { 1, 100, 10000, 0 / 0 }, style = "bars" } } } } },
            { columns = 60, rows = 10, utf8 = false })
        local sizes = {}
        for i = 1, 3 do
            sizes[i] = #lines[i]:match "#+"
        end
        -- From 0.5: log 2, log 200 and log 20000.
        assert.near(math.log(200) / math.log(20000), sizes[2] / sizes[3], 0.02)
        assert.near(math.log(2) / math.log(20000), sizes[1] / sizes[3], 0.02)
        assert.are.equal("d  nan", lines[4])
    end)

    it("draws a heat map as a table", function()
        assert.are.same({
            "true",
            "0   9   1 ",
            "1      10 ",
            "    0   1 ",
            "  predicted",
        }, (function()
            local lines = lines_of(kinds.confusion)
            lines[5] = lines[5]:gsub("^ +", "  ")
            return lines
        end)())
    end)

    it("draws two rows of pixels as one of half blocks", function()
        local lines = lines_of(function() return plot.image({ { 0, 255 }, { 255, 0 }, { 255, 255 } }) end,
            { color = true })
        assert.are.same({
            "\27[38;5;16;48;5;231m▀\27[38;5;231;48;5;16m▀\27[0m",
            "\27[38;5;231;48;5;231m▀\27[38;5;231;48;5;231m▀\27[0m",
        }, lines)
        lines = lines_of(function() return plot.image({ { { 255, 0, 0 } }, { { 0, 0, 255 } } }) end,
            { color = true, truecolor = true })
        assert.are.same({ "\27[38;2;255;0;0;48;2;0;0;255m▀\27[0m" }, lines)
        lines = lines_of(function() return plot.image({ { 0, 1 }, { 0, 1 } }) end)
        assert.are.same({ " █" }, lines)
    end)
end)

describe("plots of", function()
    it("tensors are those of their values", function()
        local from_tensor, from_list = directory .. "/tensor.svg", directory .. "/list.svg"
        plot { tensor(wave), tensor(shifted), file = from_tensor }
        plot { wave, shifted, file = from_list }
        assert.are.equal(support.read(from_list), support.read(from_tensor))
        plot.images { tensor { picture(1), picture(2) }, file = from_tensor }
        plot.images { { picture(1), tensor(picture(2)) }, file = from_list }
        assert.are.equal(support.read(from_list), support.read(from_tensor))
    end)

    it("a model show its first weights", function()
        local w = tensor { { 1, 2 }, { 3, 4 }, { 5, 6 }, { 7, 8 } }
        local model = setmetatable({}, { __index = { get_weights = function() return { w, "bias" } end } })
        local from_model, from_weights = directory .. "/model.svg", directory .. "/weights.svg"
        plot.weights { model, file = from_model }
        plot.weights { w, file = from_weights }
        assert.are.equal(support.read(from_weights), support.read(from_model))
    end)

    it("a confusion matrix can be asked of it", function()
        local matrix = require("moth.matrix").new({ { 9, 1 }, { 0, 10 } })
        local from_matrix, from_rows = directory .. "/matrix.svg", directory .. "/rows.svg"
        assert.are.equal(from_matrix, matrix:plot(from_matrix, { title = "T" }))
        plot.confusion_matrix { { { 9, 1 }, { 0, 10 } }, title = "T", file = from_rows }
        assert.are.equal(support.read(from_rows), support.read(from_matrix))
    end)

    it("a history have a panel for each metric, without the learning rate", function()
        local file = directory .. "/a.svg"
        history():plot(file, { title = "both" })
        local text = support.read(file)
        assert.are.equal(1, count(text, ">loss</text>"))
        assert.are.equal(1, count(text, ">accuracy</text>"))
        assert.are.equal(2, count(text, ">training</text>"))
        assert.are.equal(1, count(text, ">validation</text>"))
        assert.is_nil(text:find("learning"))
        history():plot(file, { metrics = { "loss" } })
        assert.is_nil(support.read(file):find("accuracy"))
    end)
end)

describe("wrong plots are refused:", function()
    local function refuses(what, call, message)
        it(what, function()
            local text = support.refusal(call)
            assert.is_truthy(text:find(message, 1, true), text)
        end)
    end

    refuses("no y", function() plot { x = { 1 } } end, "plot: y is missing")
    refuses("y empty", function() plot { y = {} } end, "plot: y must not be empty")
    refuses("y of strings", function() plot { y = { "a" } } end, 'plot: y must hold numbers; element 1 is "a"')
    refuses("y no list", function() plot { y = 5 } end, "plot: y must be a list or a tensor; got 5")
    refuses("y a function", function() plot { y = print } end, "plot: y must be a list or a tensor; got a function")
    refuses("y an object", function() plot { y = io.stdout } end, "plot: y must be a list or a tensor; got a FILE*")
    refuses("other lengths", function() plot { { 1, 2 }, { 1 } } end,
        "plot: x must have as many elements as y (1); got 2")
    refuses("x of tables", function() plot { { {} }, { 1 } } end, "plot: x must hold numbers; element 1 is a table")
    refuses("low alone", function() plot { y = { 1 }, low = { 0 } } end, "plot: low and high go together")
    refuses("series and y", function() plot { series = {}, y = { 1 } } end, "plot: give either series or x and y")
    refuses("no series", function() plot { series = {} } end, "plot: series must not be empty")
    refuses("option of a series", function() plot { series = { { y = { 1 }, colour = 1 } } } end,
        'plot: series: unknown option "colour"')
    refuses("unknown option", function() plot { y = { 1 }, titel = "a" } end,
        'unknown option "titel"; did you mean "title"?')
    refuses("file without ending", function() plot { y = { 1 }, file = "a" } end,
        'plot: file must be a name that ends in .svg, .png or .pdf; got "a"')
    refuses("other ending", function() plot { y = { 1 }, file = "a.jpg" } end, "must be a name that ends in")
    refuses("file no string", function() plot { y = { 1 }, file = 5 } end,
        "plot: file must be the name of a file; got 5")
    refuses("limits upside down", function() plot { y = { 1 }, ylim = { 2, 1 } } end,
        "plot: ylim must be a pair { lowest, highest }; got a table")
    refuses("limits that have no logarithm", function() plot { y = { 1, 2 }, ylog = true, ylim = { 0, 10 } } end,
        "plot: ylim of a logarithmic axis must be above 0; got 0")
    refuses("names beside numbers", function() plot { series = { { { "a" }, { 1 } }, { { 2 }, { 1 } } } } end,
        "plot: series must have either names or numbers for x, not both")
    refuses("what no axis can show", function() plot { y = { -1.7e308, 1.7e308 } } end,
        "plot: y goes from -1.7e+308 to 1.7e+308, which no axis can show")
    refuses("what no colours can show", function() plot.heatmap { { { -1.7e308, 1.7e308 } } } end,
        "plot.heatmap: values go from -1.7e+308 to 1.7e+308, which no colours can show")
    refuses("style", function() plot { y = { 1 }, style = "lines" } end, '(did you mean "line"?)')
    refuses("nothing finite", function() plot { y = { 0 / 0 } } end, "plot: y has no number to draw")
    refuses("nothing above 0", function() plot { y = { -1, 0 }, ylog = true } end,
        "plot: y has no number above 0 to draw")
    refuses("size", function() plot { y = { 1 }, width = 5 } end,
        "plot: width must be at least 100 and at most 10000; got 5")
    refuses("bars without values", function() plot.bars { { "a" } } end, "plot.bars: values is missing")
    refuses("names", function() plot.bars { { "a", "b" }, { 1 } } end, "plot.bars: names must have 1 elements; got 2")
    refuses("names of tables", function() plot.bars { { {} }, { 1 } } end, "plot.bars: names must hold names")
    refuses("bins", function() plot.histogram { { 1 }, bins = 0 } end, "plot.histogram: bins must be at least 1")
    refuses("values not finite", function() plot.histogram { { 0 / 0 } } end, "plot.histogram: values hold no finite")
    refuses("rows of two lengths", function() plot.heatmap { { { 1, 2 }, { 3 } } } end, "row 1 has 2, row 2 has 1")
    refuses("a list as matrix", function() plot.heatmap { { 1, 2 } } end,
        "plot.heatmap: values must have rows and columns")
    refuses("matrix not square", function() plot.confusion_matrix { { { 1, 2 } } } end,
        "plot.confusion_matrix: matrix must be square; got 1 rows of 2")
    refuses("no picture", function() plot.images { {} } end, "plot.images: there is no picture")
    refuses("a list as picture", function() plot.image({ 1, 2 }) end, "plot.image: picture must be a picture of shape")
    refuses("a batch as picture", function() plot.image(moth.zeros(2, 3, 3, 1)) end,
        "must be one picture, (height, width) or (height, width, channels); got a tensor of shape (2, 3, 3, 1)")
    refuses("nested pixels", function() plot.image({ { { { 1 } } } }) end, "picture must hold numbers; got a table")
    refuses("a matrix as y", function() plot { y = moth.zeros(2, 5) } end,
        "y must have one dimension; got a tensor of shape (2, 5)")
    refuses("five channels", function() plot.image({ { { 1, 2, 3, 4, 5 } } }) end, "must have 1 to 4 channels; got 5")
    refuses("weights of no square", function() plot.weights { { { 1 }, { 2 }, { 3 } } } end,
        "plot.weights: shape must be {h, w} with h times w = 3 inputs")
    refuses("empty history", function() callbacks.History({}):plot() end, "history:plot: the history is empty")
    refuses("unknown metric", function() history():plot(nil, { metrics = { "acuracy" } }) end,
        'history:plot: no metric named "acuracy"; did you mean "accuracy"? known: loss, accuracy')
end)

describe("plot data", function()
    local function ticks(axis, n)
        local list = {}
        for i, tick in ipairs(data.ticks(axis, n)) do
            list[i] = tick[2]
        end
        return table.concat(list, " ")
    end

    it("has ticks at round numbers", function()
        assert.are.equal("0.0 0.5 1.0", ticks({ low = -0.1, high = 1.1 }, 3))
        assert.are.equal("0.94 0.96 0.98", ticks({ low = 0.931, high = 0.99 }, 4))
        assert.are.equal("-200 -100 0 100", ticks({ low = -200, high = 150 }, 4))
        assert.are.equal("1 2 3", ticks({ low = 1, high = 3, integers = true }, 10))
        assert.are.equal("0 500k 1M 1.5M", ticks({ low = 0, high = 1.6e6 }, 4))
        assert.are.equal("1e-7 2e-7 3e-7", ticks({ low = 0.9e-7, high = 3.1e-7 }, 3))
    end)

    it("has ticks at powers of ten on logarithmic axes", function()
        assert.are.equal("1e-5 1e-4 1e-3 1e-2 1e-1 1", ticks({ low = 1e-5, high = 1, log = true }, 8))
        assert.are.equal("1e-5 1e-3 1e-1", ticks({ low = 1e-5, high = 1, log = true }, 3))
        assert.are.equal("0.001 0.01 0.1", ticks({ low = 1e-3, high = 0.5, log = true }, 8))
        assert.are.equal("2 5", ticks({ low = 1.5, high = 8, log = true }, 5))
        assert.are.equal("2.0 2.5 3.0", ticks({ low = 1.9, high = 3.1, log = true }, 3))
    end)

    it("never gives two ticks the same text", function()
        assert.are.equal("1G 1.0000001G 1.0000002G", ticks({ low = 1e9, high = 1.0000002e9 }, 3))
    end)

    it("has a bin for each whole number, or for as many in each", function()
        local edges, counts = data.histogram({ 9, 0, 1, 2, 3, 4, 5, 6, 7, 8 }, nil, 60)
        assert.are.equal(-0.5, edges[1])
        assert.are.equal(9.5, edges[#edges])
        assert.are.same({ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, counts)
        edges, counts = data.histogram({ 0.0, 3, 4, 5, 11 }, nil, 4)
        assert.are.same({ -0.5, 2.5, 5.5, 8.5, 11.5 }, edges)
        assert.are.same({ 1, 3, 0, 1 }, counts)
    end)

    it("widens an axis of one value, also where values differ by rounding alone", function()
        for _, values in ipairs { { 7 }, { 0.3, 0.1 + 0.2 }, { 1e16, 1e16 + 2 } } do
            local axis = data.axis({ values }, { what = "y" })
            assert.is_true(axis.high - axis.low >= 0.19 * values[1])
            assert.is_true(#data.ticks(axis, 5) < 20)
        end
    end)

    it("counts values in bins, the last of which has both ends", function()
        local edges, counts = data.histogram({ 0, 1, 1, 2, 3, 4, 0 / 0, math.huge }, 4, 60)
        assert.are.same({ 0, 1, 2, 3, 4 }, edges)
        assert.are.same({ 1, 2, 1, 2 }, counts)
        edges, counts = data.histogram({ 7, 7 }, 1, 60)
        assert.are.same({ 6.5, 7.5 }, edges)
        assert.are.same({ 2 }, counts)
    end)

    it("chooses the number of bins by the rule of Freedman and Diaconis", function()
        local values = {}
        for i = 1, 1000 do
            values[i] = i / 1000
        end
        -- 2 * 0.5 / 10 = 0.1 wide.
        local _, counts = data.histogram(values, nil, 60)
        assert.are.equal(10, #counts)
        _, counts = data.histogram(values, nil, 8)
        assert.are.equal(8, #counts)
    end)
end)
